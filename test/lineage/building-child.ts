import { openLineageIndex } from '../../src/lineage/lineage-index.ts';
import { openLog } from '../../src/log/open-log.ts';
import { LINEAGE_RUN } from './lineage-run.ts';

/** usage: building-child.ts LOG-FOLDER INDEX-FOLDER */
const [, , logFolder, folder] = process.argv;
const log = await openLog(`file:${logFolder}`, { create: false });
await (await openLineageIndex({ folder: folder!, log, run: LINEAGE_RUN, mostPostings: 20 })).close();
await log.close();
