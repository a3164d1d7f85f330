// What a person is told of an error: one line, never an empty one.
import test from 'ava';
import { RunError, sentence, UserError } from '../../shared/errors.js';

test('a sentence is the message, and that of the cause where it adds something', (t) => {
  t.is(sentence(new UserError('no such file')), 'no such file');
  t.is(sentence(new RunError('a\n  b', { cause: new Error('why') })), 'a b (why)');
  t.is(sentence(new RunError('a because of why', { cause: new Error('why') })), 'a because of why');
  t.is(sentence('text'), 'text');
});

test('an error without a message says what is behind it', (t) => {
  const refused = (address: string) => new Error(`connect ECONNREFUSED ${address}`);
  const all = new AggregateError([refused('::1:1'), refused('127.0.0.1:1'), refused('::1:1')]);
  t.is(sentence(all), 'connect ECONNREFUSED ::1:1; connect ECONNREFUSED 127.0.0.1:1');
  t.is(sentence(new RunError('cannot reach it', { cause: all })), `cannot reach it (${sentence(all)})`);
  t.is(sentence(Object.assign(new Error(''), { code: 'ECONNRESET' })), 'ECONNRESET');
  t.is(sentence(new UserError('')), 'UserError');
});
