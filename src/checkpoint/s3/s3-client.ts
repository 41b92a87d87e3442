import type { S3Client } from '@aws-sdk/client-s3';

/** The only file that knows the AWS SDK, which is loaded here and only when a store in S3 is used. */

/** An object as a listing tells it. */
export interface S3Object {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
}

export interface S3Upload {
  readonly key: string;
  readonly id: string;
}

/** One bucket, by the operations that the store needs. Each throws what the SDK throws, after the SDK's own retries. */
export interface S3Bucket {
  /** What was asked, for messages: "https://..." where one is set, else "AWS". */
  readonly endpoint: string;
  /** All whose key begins with `prefix`. */
  list(prefix: string): Promise<S3Object[]>;
  /** `over`: the ETag of the object to replace; without it there must be none. */
  put(key: string, bytes: Uint8Array, over?: string): Promise<void>;
  /** Copies on the server, where the source is still the one that was listed. */
  copy(from: S3Object, key: string): Promise<void>;
  /** The bytes `begin` to `end` (not included) of the object as it was listed. */
  read(object: S3Object, begin: number, end: number, signal: AbortSignal): Promise<Uint8Array>;
  remove(key: string): Promise<void>;
  createUpload(key: string): Promise<S3Upload>;
  /** Returns the part's ETag. Parts are numbered from 1. */
  uploadPart(upload: S3Upload, number: number, bytes: Uint8Array): Promise<string>;
  completeUpload(upload: S3Upload, etags: readonly string[], over?: string): Promise<void>;
  abortUpload(upload: S3Upload): Promise<void>;
  /** Those not completed whose key begins with `prefix`. */
  listUploads(prefix: string): Promise<S3Upload[]>;
}

const CONNECT_MS = 10_000;
/** Of silence on a connection: a server that copies or puts parts together may think for a while. */
const SILENCE_MS = 120_000;

/** Opens nothing yet: a missing bucket or a wrong secret is told by the first operation. */
export async function openBucket(bucket: string): Promise<S3Bucket> {
  // Its versions are pinned here: which Node a later one will need is no news for whoever runs this one.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  const sdk = await import('@aws-sdk/client-s3');
  const { client, endpoint } = await connect(sdk);
  const Bucket = bucket;
  const condition = (over: string | undefined) => (over === undefined ? { IfNoneMatch: '*' } : { IfMatch: over });
  return {
    endpoint,
    async list(prefix) {
      const found: S3Object[] = [];
      let token: string | undefined;
      do {
        const page = await client.send(
          new sdk.ListObjectsV2Command({
            Bucket,
            Prefix: prefix,
            ...(token !== undefined && { ContinuationToken: token }),
          }),
        );
        for (const { Key, Size, ETag } of page.Contents ?? [])
          found.push({ key: Key!, bytes: Size ?? 0, etag: ETag ?? '' });
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
      return found;
    },
    async put(key, bytes, over) {
      await client.send(new sdk.PutObjectCommand({ Bucket, Key: key, Body: bytes, ...condition(over) }));
    },
    async copy(from, key) {
      const CopySource = `${bucket}/${from.key.split('/').map(encodeURIComponent).join('/')}`;
      await client.send(new sdk.CopyObjectCommand({ Bucket, Key: key, CopySource, CopySourceIfMatch: from.etag }));
    },
    async read(object, begin, end, signal) {
      const { Body } = await client.send(
        new sdk.GetObjectCommand({ Bucket, Key: object.key, Range: `bytes=${begin}-${end - 1}`, IfMatch: object.etag }),
        { abortSignal: signal },
      );
      return Body!.transformToByteArray();
    },
    async remove(key) {
      await client.send(new sdk.DeleteObjectCommand({ Bucket, Key: key }));
    },
    async createUpload(key) {
      const { UploadId } = await client.send(new sdk.CreateMultipartUploadCommand({ Bucket, Key: key }));
      return { key, id: UploadId! };
    },
    async uploadPart({ key, id }, number, bytes) {
      const { ETag } = await client.send(
        new sdk.UploadPartCommand({ Bucket, Key: key, UploadId: id, PartNumber: number, Body: bytes }),
      );
      return ETag!;
    },
    async completeUpload({ key, id }, etags, over) {
      await client.send(
        new sdk.CompleteMultipartUploadCommand({
          Bucket,
          Key: key,
          UploadId: id,
          MultipartUpload: { Parts: etags.map((ETag, i) => ({ ETag, PartNumber: i + 1 })) },
          ...condition(over),
        }),
      );
    },
    async abortUpload({ key, id }) {
      await client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key: key, UploadId: id }));
    },
    async listUploads(prefix) {
      const found: S3Upload[] = [];
      let marker: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
      while (marker !== null) {
        const page: import('@aws-sdk/client-s3').ListMultipartUploadsCommandOutput = await client.send(
          new sdk.ListMultipartUploadsCommand({ Bucket, Prefix: prefix, ...marker }),
        );
        for (const { Key, UploadId } of page.Uploads ?? []) found.push({ key: Key!, id: UploadId! });
        const { NextKeyMarker, NextUploadIdMarker } = page;
        marker =
          page.IsTruncated && NextKeyMarker
            ? { KeyMarker: NextKeyMarker, ...(NextUploadIdMarker && { UploadIdMarker: NextUploadIdMarker }) }
            : null;
      }
      return found;
    },
  };
}

/**
 * Everything as the SDK finds it in the environment and in ~/.aws, but where another server than AWS is named: there the
 * bucket stands in the path, since few of them have a host name a bucket; a region need not be said; and the SDK's own
 * checksums are left out, which several refuse (every part's SHA-256 is signed, and checked by the server, all the same).
 */
async function connect(sdk: typeof import('@aws-sdk/client-s3')): Promise<{ client: S3Client; endpoint: string }> {
  const common = {
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENCE_MS },
    // The store checks the digest of the whole blob.
    responseChecksumValidation: 'WHEN_REQUIRED',
    followRegionRedirects: true,
  } as const;
  const asFound = new sdk.S3Client(common);
  const endpoint = await asFound.config.serviceConfiguredEndpoint?.();
  if (endpoint === undefined) return { client: asFound, endpoint: 'AWS' };
  const region = await asFound.config.region().catch(() => 'us-east-1');
  asFound.destroy();
  const requestChecksumCalculation =
    process.env['AWS_REQUEST_CHECKSUM_CALCULATION'] === undefined
      ? ({ requestChecksumCalculation: 'WHEN_REQUIRED' } as const)
      : {};
  const client = new sdk.S3Client({ ...common, ...requestChecksumCalculation, forcePathStyle: true, region });
  return { client, endpoint: withoutUser(endpoint) };
}

const withoutUser = (url: string): string => url.replace(/\/\/[^/@]*@/, '//').replace(/\?.*$/, '');
