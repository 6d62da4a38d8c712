/**
 * The id of the repository that the stand-in for the hub serves to browsers.
 */
export const hubModelId = "tiny/model";
