import { BrokerError } from './kafka-errors.ts';
import { Encoder, type KafkaBroker } from './kafkajs-internals.ts';

/*
 * Topic ids (KIP-516, brokers from 2.8 on), which kafkajs's encodings are too old for.
 *
 * request  = tags count(1) zero:u128 name:string tags autoCreate:i8 clusterOperations:i8 topicOperations:i8 tags
 * response = tags throttle:i32 count broker{} clusterId:string controller:i32 count topic{} ...
 * broker   = id:i32 host:string port:i32 rack:string tags
 * topic    = code:i16 name:string id:u128 ...
 *
 * count and string begin with an unsigned varint of their length plus one (0: null); tags is an empty one, a zero byte.
 * kafka.apache.org/protocol, Metadata v10. The first tags belong to the header, which kafkajs knows without them.
 */

const METADATA = 3;
const VERSION = 10;
const NO_TAGS = 0;

/** Null when the broker is older than topic ids. @throws BrokerError */
export async function topicIdOf(broker: KafkaBroker, topic: string): Promise<string | null> {
  if ((broker.versions?.[METADATA]?.maxVersion ?? 0) < VERSION) return null;
  const encode = async (): Promise<unknown> => {
    const encoder = new Encoder().writeInt8(NO_TAGS).writeUVarInt(2);
    for (let word = 0; word < 4; word++) encoder.writeInt32(0);
    encoder.writeUVarIntString(topic).writeInt8(NO_TAGS);
    return encoder.writeInt8(0).writeInt8(0).writeInt8(0).writeInt8(NO_TAGS);
  };
  return broker.connectionPool.send<string>({
    request: { apiKey: METADATA, apiVersion: VERSION, apiName: 'Metadata', encode },
    response: {
      decode: async (payload) => payload,
      parse: async (payload: Buffer) => readTopicId(payload, topic),
    },
  });
}

function readTopicId(payload: Buffer, topic: string): string {
  let at = 0;
  const unsigned = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = payload.readUInt8(at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  const skipString = (): void => {
    const length = unsigned();
    at += Math.max(0, length - 1);
  };
  const skipTags = (): void => {
    for (let left = unsigned(); left > 0; left--) {
      unsigned();
      const bytes = unsigned();
      at += bytes;
    }
  };
  skipTags();
  at += 4; // throttle
  for (let left = unsigned() - 1; left > 0; left--) {
    at += 4;
    skipString();
    at += 4;
    skipString();
    skipTags();
  }
  skipString(); // cluster
  at += 4; // controller
  if (unsigned() !== 2) throw new RangeError('a metadata answer does not hold the one topic that was asked for');
  const code = payload.readInt16BE(at);
  at += 2;
  skipString();
  if (code !== 0) throw new BrokerError(code, `topic ${topic}`);
  return payload.toString('hex', at, at + 16);
}
