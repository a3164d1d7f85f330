// The module that a worker's exchange thread is started with.
import { runExchangeThread } from './exchange-thread.js';

runExchangeThread();
