// Options of what is written, and of what is read when a program starts: results, snapshots, events, log, configuration.
import { z } from 'zod';
import {
  SNAPSHOT_MINUTES_DEFAULT,
  SNAPSHOT_MINUTES_MAX,
  SNAPSHOT_STEPS_MAX,
  SNAPSHOTS_KEPT_DEFAULT,
  SNAPSHOTS_KEPT_MAX,
} from '../../limits.js';
import { defaulting, folderOrBucket, oneOf, onOff, optional, path, real, whole } from './kinds.js';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export const FILE_OPTIONS = {
  out: defaulting(
    path({ flag: 'out', placeholder: 'DIR', help: 'where results are saved' }, 'a folder', 'runs/'),
    'runs/',
  ),
  summary: optional(
    path(
      {
        flag: 'summary',
        placeholder: 'FILE',
        help: 'write the summary there too, as JSON',
        fallback: 'nowhere else',
      },
      'a file',
      'summary.json',
    ),
  ),
  snapshots: optional(
    folderOrBucket({
      flag: 'snapshots',
      placeholder: 'DIR',
      help: 'folder or s3://BUCKET/PREFIX for snapshots of running runs, which all servers and workers reach',
      fallback: 'no snapshots',
    }),
  ),
  snapshotSteps: optional(
    whole(
      { flag: 'snapshot-steps', help: 'steps from one snapshot to the next', fallback: 'by time' },
      1,
      SNAPSHOT_STEPS_MAX,
      1000,
    ),
  ),
  snapshotMinutes: optional(
    real(
      {
        flag: 'snapshot-minutes',
        help: 'minutes from one snapshot to the next',
        fallback: `${SNAPSHOT_MINUTES_DEFAULT}, unless --snapshot-steps is given`,
      },
      z.number().positive().max(SNAPSHOT_MINUTES_MAX),
      `a number above 0 and at most ${SNAPSHOT_MINUTES_MAX}`,
      5,
    ),
  ),
  snapshotKeep: optional(
    whole(
      {
        flag: 'snapshot-keep',
        placeholder: 'K',
        help: 'snapshots of a run that are kept',
        fallback: String(SNAPSHOTS_KEPT_DEFAULT),
      },
      1,
      SNAPSHOTS_KEPT_MAX,
      5,
    ),
  ),
  resume: optional(
    folderOrBucket({
      flag: 'resume',
      placeholder: 'PATH',
      help: 'goes on from a snapshot: its folder, or the newest whole one in the folder of a run or of all runs; also in s3://',
      fallback: 'a new run',
    }),
  ),
  json: onOff({ flag: 'json', help: 'events as JSON lines on stdout' }),
  logLevel: defaulting(
    oneOf(
      { flag: 'log-level', placeholder: 'LEVEL', help: 'least level of what is logged' },
      LOG_LEVELS,
      'info',
    ),
    'info',
  ),
  config: optional(
    path(
      {
        flag: 'config',
        placeholder: 'FILE',
        help: 'JSON file whose keys are the names of options',
        fallback: 'none',
      },
      'a file',
      'gradloom.json',
    ),
  ),
};
