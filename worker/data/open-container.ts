// Opens the place that a user names as a container of files: a folder, or an archive.
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { UserError } from '../../shared/errors.js';
import { openArchive } from './archive.js';
import { type Container, unreadable } from './container.js';
import { openFolder } from './folder.js';

/** Opens a folder or archive. @throws UserError for a path that is missing, unreadable or neither of the two */
export async function openContainer(location: string): Promise<Container> {
  const found = await stat(location).catch((error) => {
    throw unreadable(location, error);
  });
  await access(location, constants.R_OK).catch((error) => {
    throw unreadable(location, error);
  });
  if (found.isDirectory()) return openFolder(location);
  if (found.isFile()) return openArchive(location);
  throw new UserError(`${location} is neither a folder nor a file: give a folder, a .tar or a .tar.gz`);
}
