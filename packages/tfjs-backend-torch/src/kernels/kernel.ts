// What every kernel of this backend is made with. The one place that meets TensorFlow.js's loosely typed registry.
import type {KernelConfig, KernelFunc, TensorInfo} from '@tensorflow/tfjs-core';
import type {TorchBackend} from '../torch_backend.ts';

/** TensorFlow.js types every input as possibly undefined; only those declared optional are. */
type Given<Inputs> = {
  [K in keyof Inputs]: Record<never, never> extends Pick<Inputs, K> ? Inputs[K] : Exclude<Inputs[K], undefined>;
};

export interface KernelArgs<Inputs, Attrs> {
  inputs: Given<Inputs>;
  attrs: Attrs;
  backend: TorchBackend;
}

/**
 * A kernel of the torch backend. What the addon throws becomes an Error that names the kernel and its inputs' types and
 * shapes; the addon's own sentence follows. Errors of TensorFlow.js's own checks pass unchanged.
 */
export function kernel<Inputs, Attrs = Record<string, never>>(
  kernelName: string,
  run: (args: KernelArgs<Inputs, Attrs>) => TensorInfo | TensorInfo[],
): KernelConfig {
  const guarded = (args: KernelArgs<Inputs, Attrs>) => {
    try {
      return run(args);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'TORCH') throw error;
      throw new Error(`${kernelName}(${describeInputs(args.inputs)}): ${(error as Error).message}`, {cause: error});
    }
  };
  return {kernelName, backendName: 'torch', kernelFunc: guarded as unknown as KernelFunc};
}

function describeInputs(inputs: unknown): string {
  return Object.entries(inputs as Record<string, TensorInfo | undefined | null>)
    .filter((entry): entry is [string, TensorInfo] => Boolean(entry[1]?.shape))
    .map(([name, {dtype, shape}]) => `${name} ${dtype}[${shape}]`)
    .join(', ');
}
