// Original file: proto/gradloom/v1/membership.proto


export interface ServerLeaving {
}

export interface ServerLeaving__Output {
}
