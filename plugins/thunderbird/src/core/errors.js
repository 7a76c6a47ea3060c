// What can go wrong, by what a person can do about it. Each message is for people; none has a secret.

/** Something breaks the format, or isn't to be believed. */
export class Malformed extends Error {}

/** It was changed, or somebody else signed it. */
export class NotAuthentic extends Error {}

/** It is well made, but no key here opens it. */
export class NotForThisKey extends Error {}

/** A service shows something else of a list than was seen before: loud, and nothing is done. */
export class Alarm extends Error {}

/** Do a step on what came from outside: where that has another form than the step expects, it is malformed. */
export async function onOutside(step) {
  try {
    return await step();
  } catch (problem) {
    if (problem instanceof TypeError || problem instanceof RangeError) throw new Malformed("It isn't formed as it has to be");
    throw problem;
  }
}

/** The list's service can't be reached, or says no. */
export class ServiceProblem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}
