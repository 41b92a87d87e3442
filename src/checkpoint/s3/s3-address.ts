import { RepulsorError } from '../../errors.ts';

/** Where blobs lie in S3. */
export interface S3Address {
  /** As it was given, without a slash at its end. */
  readonly url: string;
  readonly bucket: string;
  /** What every key begins with: empty, or ending in "/". */
  readonly prefix: string;
}

/**
 *   url    := "s3://" bucket [ "/" prefix ]
 *   bucket := a name by S3's rules: 3 to 63 of a-z 0-9 . - , the first and last a letter or digit
 *   prefix := names separated by "/", none of them empty, "." or "..": 1 to 700 bytes of letters, digits, "!" "-" "_" "." "*" "'" "(" ")" "="
 *
 * Credentials, region and endpoint are not part of it: they come from where the AWS SDK looks for them.
 * @throws RepulsorError CONFIG
 */
export function parseS3Url(url: string): S3Address {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(url);
  const prefix = (match?.[2] ?? '').replace(/\/$/, '');
  if (match === null || (prefix !== '' && !isPrefix(prefix))) {
    // It is not repeated: where a user name is expected by other URLs, a secret may stand.
    throw new RepulsorError('CONFIG', `${shown(url)} does not name a place in S3`, {
      hint: 'Give s3://BUCKET or s3://BUCKET/PREFIX; credentials, region and endpoint come from the environment (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...) or from ~/.aws.',
    });
  }
  const bucket = match[1]!;
  const path = prefix === '' ? '' : `/${prefix}`;
  return { url: `s3://${bucket}${path}`, bucket, prefix: prefix === '' ? '' : `${prefix}/` };
}

export function isS3Url(url: string): boolean {
  try {
    parseS3Url(url);
    return true;
  } catch {
    return false;
  }
}

function isPrefix(prefix: string): boolean {
  return (
    prefix.length <= 700 && prefix.split('/').every((name) => /^[\w!.*'()=-]+$/.test(name) && !/^\.\.?$/.test(name))
  );
}

/** Without what may be a secret. */
function shown(url: string): string {
  return url.replace(/\/\/[^/]*@/, '//...@').replace(/\?.*$/, '?...');
}
