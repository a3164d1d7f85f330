// Original file: proto/gradloom/v1/membership.proto


export interface StatusRequest {
}

export interface StatusRequest__Output {
}
