// The models: networks built from configurations, and the representations they speak.
export {type AutoencoderConfig, AutoencoderKL, type TemporalDecoderConfig} from './autoencoder.ts';
export * from './representations.ts';
export {UNet, type UNetInputs} from './unet.ts';
export {headsAt, type TemporalConfig, type UNetConfig} from './unet_config.ts';
