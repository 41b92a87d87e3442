import { join } from 'node:path';
import { describeResumes } from './resumes-contract.ts';

describeResumes((folder) => `file:${join(folder, 'log')}`);
