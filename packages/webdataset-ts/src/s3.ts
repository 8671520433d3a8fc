// Shards in S3 and whatever speaks its protocol: signature version 4 by aws4fetch, any endpoint, path style where needed.
import {WebDatasetError} from './errors.ts';
import type {HttpTarget} from './http.ts';
import {shardName} from './urls.ts';

/** Each falls back to the usual environment variable. */
export interface S3Options {
  /** AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; default Amazon's for the region. */
  endpoint?: string;
  /** AWS_REGION or AWS_DEFAULT_REGION; default us-east-1. */
  region?: string;
  /** AWS_ACCESS_KEY_ID. */
  accessKeyId?: string;
  /** AWS_SECRET_ACCESS_KEY. */
  secretAccessKey?: string;
  /** AWS_SESSION_TOKEN. */
  sessionToken?: string;
  /** Bucket in the path rather than in the host name; default: when an endpoint is given. */
  pathStyle?: boolean;
  /** Sends no signature, for public buckets. */
  anonymous?: boolean;
}

/** The HTTP request behind `s3://bucket/key`. Throws WebDatasetError 'bad-option' on a bad address or missing keys. */
export function s3Target(url: string, options: S3Options = {}, env: NodeJS.ProcessEnv = process.env): HttpTarget {
  const name = shardName(url);
  const refuse = (message: string) => new WebDatasetError('bad-option', message, {shard: name});
  const address = /^s3:\/\/([^/]+)\/(.+)$/i.exec(url);
  if (!address) throw refuse('the address must be s3://BUCKET/KEY');
  const bucket = address[1]!;
  const key = address[2]!.split('/').map(encodePart).join('/');
  const region = options.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? 'us-east-1';
  const endpoint = options.endpoint ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL;
  const base = (endpoint ?? `https://s3.${region}.amazonaws.com`).replace(/\/+$/, '');
  if (!/^https?:\/\/[^/]/i.test(base)) throw refuse(`the S3 endpoint must be an http(s) address, found ${base}`);
  const pathStyle = options.pathStyle ?? (endpoint !== undefined || bucket.includes('.'));
  const target = pathStyle ? `${base}/${bucket}/${key}` : `${base.replace('://', `://${bucket}.`)}/${key}`;

  const accessKeyId = options.accessKeyId ?? env.AWS_ACCESS_KEY_ID;
  const secretAccessKey = options.secretAccessKey ?? env.AWS_SECRET_ACCESS_KEY;
  const sessionToken = options.sessionToken ?? env.AWS_SESSION_TOKEN;
  if (!options.anonymous && (!accessKeyId || !secretAccessKey)) {
    throw refuse('S3 needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or s3.anonymous for a public bucket');
  }
  return {
    url: target,
    name,
    followRedirects: false, // a signature is for one host
    async headers() {
      if (options.anonymous || !accessKeyId || !secretAccessKey) return {};
      const {AwsV4Signer} = await import('aws4fetch');
      const signer = new AwsV4Signer({
        url: target,
        accessKeyId,
        secretAccessKey,
        service: 's3',
        region,
        ...(sessionToken ? {sessionToken} : {}),
      });
      const {headers} = await signer.sign();
      return Object.fromEntries([...headers].filter(([header]) => header !== 'host'));
    },
  };
}

/** Percent-encodes as S3 canonicalises: all but A-Z a-z 0-9 - _ . ~ */
function encodePart(part: string): string {
  return encodeURIComponent(part).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
