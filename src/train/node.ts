/**
 * What training needs of Node: data, checkpoints and folders on disk.
 */

export { openTrainingFiles } from "./data/node-training-files.ts";
