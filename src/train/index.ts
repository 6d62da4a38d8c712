/**
 * What training is made of, on the host: optimizer, schedules, data, checkpoints and the folders it writes.
 */

export {
  type AdamW,
  type AdamWOptions,
  type AdamWState,
  makeAdamW,
  type ParameterGroup,
  standardGroups,
} from "./adamw.ts";
export { clipGradients, globalNorm } from "./clip-gradient.ts";
export type { DataPosition, DocumentSource, ReadDocument, TrainingDocument } from "./data/document-source.ts";
export { mixDocuments, type SourceShare } from "./data/mixed-documents.ts";
export { createRecordDocuments, type RecordDocumentsOptions } from "./data/record-documents.ts";
export type { TrainingRecord } from "./data/training-record.ts";
export {
  openTrainingRecords,
  type TrainingFile,
  type TrainingRecords,
  type TrainingRecordsOptions,
} from "./data/training-records.ts";
export { type GuardedStep, guardStep, noSkippedSteps, type SkippedSteps } from "./loss-guard.ts";
export { addScaled, type NamedArrays, zerosLike } from "./parameters.ts";
export { makeSchedule, type Schedule, type ScheduleOptions } from "./schedule.ts";
