package embedded

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// reachable is where Postgres' files go if its account cannot reach the data
// folder; only root needs it.
const reachable = "/var/lib/rollcall"

// temporaryPattern names the folders of temporary servers.
const temporaryPattern = "rollcall-test-*"

// memory is a file system in memory on Linux, roomy if at least that many bytes
// are free there. On it the tests' databases are cloned some twenty times faster
// than on a disk.
const (
	memory = "/dev/shm"
	roomy  = 2 << 30
)

// temporaryRoot is where temporary data goes: where TMPDIR says, else into
// memory, else onto the disk.
func temporaryRoot() string {
	var fs syscall.Statfs_t
	if os.Getenv("TMPDIR") == "" && syscall.Statfs(memory, &fs) == nil && fs.Bavail*uint64(fs.Bsize) >= roomy {
		return memory
	}
	return os.TempDir()
}

// TemporaryDir makes a folder for further servers of a test, which takes it away
// itself; the lock, until it is closed, tells others that it is in use.
func TemporaryDir() (dir string, lock io.Closer, err error) {
	o := Options{Temporary: true}
	if err := o.makeDir(); err != nil {
		return "", nil, err
	}
	lock, err = acquire(o.Dir)
	return o.Dir, lock, err
}

// makeTemporary makes a new data folder, and removes those that killed processes
// left behind.
func (o *Options) makeTemporary(mode os.FileMode) error {
	if !o.Temporary {
		return fmt.Errorf("no data folder given; name one (--data)")
	}
	root := temporaryRoot()
	sweepTemporary(root)
	dir, err := os.MkdirTemp(root, temporaryPattern)
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, mode); err != nil {
		return err
	}
	o.Dir, err = filepath.EvalSymlinks(dir)
	return err
}

// sweepTemporary removes what it can of abandoned folders. A young one may be
// between its making and its locking.
func sweepTemporary(root string) {
	dirs, _ := filepath.Glob(filepath.Join(root, temporaryPattern)) // the pattern is well formed
	for _, dir := range dirs {
		lock := filepath.Join(dir, "lock")
		info, err := os.Stat(lock)
		if err != nil || time.Since(info.ModTime()) < time.Minute || held(lock) {
			continue
		}
		if target, err := os.Readlink(filepath.Join(dir, "postgres")); err == nil {
			os.RemoveAll(target)
		}
		os.RemoveAll(dir)
	}
}

// postgresHome returns the folder of Postgres' own files below dir and the
// account that owns it and runs Postgres. The folder is made if missing: in dir,
// or in reachable with a link to it in dir.
func postgresHome(dir string) (string, *account, error) {
	home := filepath.Join(dir, "postgres")
	acct, err := postgresAccount(home)
	if err != nil {
		return "", nil, err
	}
	existing, err := filepath.EvalSymlinks(home)
	if err == nil && acct.reaches(existing) {
		return existing, acct, nil
	}
	// A start that was killed may have made the folder and not yet given it away.
	if err == nil && os.Remove(existing) != nil {
		return "", nil, fmt.Errorf("the account %s, which runs postgres, cannot reach %s; make the folders above it "+
			"passable (chmod o+x) or choose another one (--data)",
			acct.name, existing)
	}
	os.Remove(home) // a link whose target is gone
	if err := makeOwned(home, acct); err != nil {
		return "", nil, err
	}
	if acct.reaches(home) {
		return home, acct, nil
	}
	home, err = moveToReachable(home, acct)
	return home, acct, err
}

// makeOwned makes dir for the account alone.
func makeOwned(dir string, acct *account) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return acct.own(dir)
}

// moveToReachable replaces the empty folder home by a link to one that the
// account reaches. Its name is new each time: a data folder removed and made
// again starts empty.
func moveToReachable(home string, acct *account) (string, error) {
	if err := os.MkdirAll(reachable, 0o711); err != nil {
		return "", err
	}
	target, err := os.MkdirTemp(reachable, "postgres-")
	if err != nil {
		return "", err
	}
	if err := acct.own(target); err != nil {
		return "", err
	}
	if err := os.Remove(home); err != nil {
		return "", err
	}
	return target, os.Symlink(target, home)
}

// socketLimit is the longest path of a socket that all systems take (macOS: 104
// bytes with the final zero; Linux 108).
const socketLimit = 103

// plainPath has no character that is special in a URL or in Postgres' list of
// socket folders.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9/._+-]+$`)

// socketFolder makes a folder for Postgres' socket that only its account may
// enter: below home, or in /tmp if that name is too long or not plain. extra is
// true in the second case: somebody has to remove it.
func socketFolder(home string, acct *account) (dir string, extra bool, err error) {
	dir = filepath.Join(home, "socket")
	if plainPath.MatchString(dir) && len(dir)+len("/.s.PGSQL.65535") <= socketLimit {
		if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
			return "", false, err
		}
		return dir, false, acct.own(dir)
	}
	if dir, err = os.MkdirTemp("/tmp", "rollcall-"); err != nil {
		return "", false, err
	}
	return dir, true, acct.own(dir)
}
