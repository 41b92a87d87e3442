import { parentPort } from 'node:worker_threads';
import { representation, type Views } from './representation.ts';

/** The thread that representation-thread.ts starts: views come, what they say goes. */
parentPort!.on('message', (views: Views) => {
  try {
    parentPort!.postMessage({ found: representation(views) });
  } catch (error) {
    parentPort!.postMessage({ failure: (error as Error).message });
  }
});
