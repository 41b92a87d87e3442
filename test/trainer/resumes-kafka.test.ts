import { describe } from 'vitest';
import { kafkaForTests } from '../log/kafka-broker.ts';
import { describeResumes } from './resumes-contract.ts';

const url = await kafkaForTests();

describe.runIf(url !== null)('on Kafka', () => describeResumes(() => url!));
