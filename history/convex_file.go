package history

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// openFile opens an export: in the folder dir, or without one at its path.
func openFile(dir, name string) (*os.File, fs.FileInfo, error) {
	if dir != "" {
		return openWithin(dir, name)
	}
	f, err := os.OpenFile(name, readOnly, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil, refused("%v: give the path of an export (npx convex export --path FILE.zip) that the workers "+
			"can read", err)
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = refused("%s is not a regular file: give the .zip that npx convex export makes", name)
	}
	return closedIf(err, f, info)
}

// readOnly does not block: a named pipe opens at once and is then refused.
const readOnly = os.O_RDONLY | syscall.O_NONBLOCK

// openWithin opens a regular file in a folder. It does not follow symbolic links out of it. All
// errors have the same text, so that they reveal nothing about other files, not even their
// existence.
func openWithin(dir, name string) (*os.File, fs.FileInfo, error) {
	none := refused("%s: no regular file of this name can be read in the folder that IMPORT_DIR names where this "+
		"worker runs: put the export there", name)
	if filepath.IsAbs(name) {
		within, err := filepath.Rel(dir, name)
		if err != nil {
			return nil, nil, none
		}
		name = within
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, refused("the folder that IMPORT_DIR names cannot be opened where this worker runs: create it, " +
			"readable for the worker, and start a new backfill")
	}
	defer root.Close()
	f, err := root.OpenFile(name, readOnly, 0)
	if err != nil {
		return nil, nil, none
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		err = none
	}
	return closedIf(err, f, info)
}

// closedIf closes a file that will not be read.
func closedIf(err error, f *os.File, info fs.FileInfo) (*os.File, fs.FileInfo, error) {
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}
