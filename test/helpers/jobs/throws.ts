// A job whose module throws when it is loaded.
throw new Error('no such luck');
