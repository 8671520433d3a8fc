// RealDiv: the ONNX operator Div, broadcasting.
import {binary} from '../families/elementwise.ts';

export const realDiv = binary('RealDiv', 'Div', {accepts: ['float32']});
