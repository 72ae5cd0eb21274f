/** Whether the folder that this process works in is there. Without one, what a relative path means can't be said, and modules fail as they are loaded. */
export function hasWorkingFolder(): boolean {
  try {
    process.cwd();
    return true;
  } catch {
    return false;
  }
}
