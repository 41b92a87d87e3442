import { runChild } from './child.ts';
import { live } from './live.ts';

/** The process that `repulsor certify` lets things happen to: one life of a trainer. No command: nobody else starts it. */
await runChild(live);
