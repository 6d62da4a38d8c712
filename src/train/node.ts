/**
 * What training needs of Node: data, checkpoints, logs and folders on disk.
 */

export { openTrainingFiles } from "./data/node-training-files.ts";
export { prepareOutputFolder, writeOutputFiles } from "./node-output-folder.ts";
export { loadTrainingCheckpoint, saveTrainingCheckpoint } from "./node-training-checkpoints.ts";
export { type LogEntry, openTrainingLog, readTrainingLog, type TrainingLog } from "./node-training-log.ts";
