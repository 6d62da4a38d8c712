/**
 * What training is made of, on the host: optimizer, schedules, data, recall documents.
 */

export { type BpeTrainingOptions, type TrainedTokenizer, trainByteLevelBpe } from "../text/bpe-trainer.ts";
export {
  type AdamW,
  type AdamWOptions,
  type AdamWState,
  makeAdamW,
  type ParameterGroup,
  standardGroups,
} from "./adamw.ts";
export { makeAdapterFiles, type TrainedAdapter } from "./adapter-files.ts";
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
export { drawInitialWeights } from "./initial-weights.ts";
export { type GuardedStep, guardStep, noSkippedSteps, type SkippedSteps } from "./loss-guard.ts";
export { drawLossPlot, type LossPoint } from "./loss-plot.ts";
export { makeModelFiles, type TrainedModel } from "./model-files.ts";
export { createNextTokenObjective, type LengthStage, type NextTokenOptions } from "./next-token-objective.ts";
export type { DocumentLoss, Objective } from "./objective.ts";
export { addScaled, type NamedArrays, zerosLike } from "./parameters.ts";
export { createDraws, type RandomDraws } from "./random-draws.ts";
export { readWeightTensors } from "./read-weight-tensors.ts";
export type { DistractorOptions } from "./recall/distractors.ts";
export { type FactKindName, factKindNames } from "./recall/fact-kinds.ts";
export type { Fact, FactSplit } from "./recall/facts.ts";
export { type Prose, proseOfRecords, proseOfText } from "./recall/prose.ts";
export { makeChatFrame, plainFrame, type QuestionFrame } from "./recall/question-frames.ts";
export {
  absentAnswer,
  makeRecallDocument,
  type RecallDocument,
  type RecallMaterials,
  type RecallPart,
  type RecallPlan,
} from "./recall/recall-document.ts";
export {
  createRecallDocuments,
  type RecallDocumentsOptions,
  type RecallRange,
  type RecallWeights,
} from "./recall/recall-documents.ts";
export { makeSchedule, type Schedule, type ScheduleOptions } from "./schedule.ts";
export {
  createSegmentObjective,
  type SegmentedModel,
  type SegmentObjective,
  type SegmentOptions,
} from "./segment-objective.ts";
export {
  type StepEvent,
  type TrainingEvent,
  type TrainingPlan,
  type TrainingPoint,
  train,
} from "./train-loop.ts";
export { assertSameRun, type Json, type TrainingState } from "./training-state.ts";
export { describeWeights, type WeightTensors } from "./weight-tensors.ts";
