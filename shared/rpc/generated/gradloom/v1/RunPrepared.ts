// Original file: proto/gradloom/v1/membership.proto


export interface RunPrepared {
}

export interface RunPrepared__Output {
}
