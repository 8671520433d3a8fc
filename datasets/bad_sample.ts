// What is wrong with an input that cannot be used: a closed list of reasons, so that a report can be counted and searched.

export const badReasons = {
  empty: 'the file has no bytes',
  unreadable: 'the bytes are not of a known video or image format',
  truncated: 'the file ends before its content does, or is damaged',
  noVideo: 'there is no video stream',
  tooShort: 'there are fewer frames than a clip needs',
  tooLarge: 'a dimension, duration or size is beyond the limit',
  tooSmall: 'the frame is smaller than allowed',
  missingMember: 'a member that the sample needs is not there',
  badCaption: 'the caption is not UTF-8 text',
  badMetadata: 'the metadata is not what it should be',
  badLatents: 'the latents or text embedding are not what they should be',
  badShard: 'the shard cannot be read',
  timeout: 'the decoder did not finish in time',
} as const;

export type BadReason = keyof typeof badReasons;

/** An input that cannot be used. `reason` is one of `badReasons`; the message says what was found. */
export class BadSample extends Error {
  override readonly name = 'BadSample';
  readonly reason: BadReason;
  constructor(reason: BadReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}
