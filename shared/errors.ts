// The two kinds of failure that end a process in an orderly way, and the exit status each stands for.
// What a user or a peer did wrong is one of these, with a sentence: what was expected, what came, what to do.
// Anything else that is thrown is a bug of ours and may show its stack.

/** Exit statuses of every binary. */
export const EXIT = { done: 0, failed: 1, mistake: 2, interrupted: 130 } as const;

/** The user's mistake (a bad option, missing data, a port that is taken): exit status 2. */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly exitStatus = EXIT.mistake;
}

/** The run could not go on (a peer was lost, a disk is full): exit status 1, unless a user's mistake lies behind it. */
export class RunError extends Error {
  override readonly name = 'RunError';
  readonly exitStatus: number = EXIT.failed;
}

/**
 * One line for a person: the message of an error, and of its cause where it adds something. An error without a message
 * (of a connection that was tried at several addresses) says those of the errors behind it, or its code.
 */
export function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = messageOf(error);
  const cause = error.cause instanceof Error ? messageOf(error.cause) : undefined;
  const text = cause && !message.includes(cause) ? `${message} (${cause})` : message;
  return text.replace(/\s*\n\s*/g, ' ');
}

function messageOf(error: Error): string {
  if (error.message !== '') return error.message;
  const behind = error instanceof AggregateError ? error.errors.map(sentence) : [];
  const { code } = error as NodeJS.ErrnoException;
  return [...new Set(behind)].join('; ') || code || error.name;
}

/** Whether an error is somebody's mistake or misfortune, and so is shown without a stack. */
export function isExpected(error: unknown): error is UserError | RunError {
  return error instanceof UserError || error instanceof RunError;
}
