package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrInUse is returned by Start when a live process has servers on the folder.
var ErrInUse = errors.New("data folder in use")

// ErrNotRunning is returned by Running when no servers run on the folder.
var ErrNotRunning = errors.New("no rollcall dev is running")

// Record tells other commands where the servers of a data folder are. It holds
// passwords: its file is readable by its owner alone.
type Record struct {
	PID         int               `json:"pid"` // of the process that started the servers
	DatabaseURL string            `json:"database_url"`
	RedisURL    string            `json:"redis_url"`
	Note        map[string]string `json:"note,omitempty"` // what Publish added
}

// Running returns the servers that a live process runs on dir. ErrNotRunning if
// there is none, or it is not up yet.
func Running(dir string) (Record, error) {
	if !held(filepath.Join(dir, "lock")) {
		return Record{}, notRunning(dir)
	}
	data, err := os.ReadFile(recordPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, notRunning(dir)
	}
	if err != nil {
		return Record{}, fmt.Errorf("embedded.Running: %w; run as the user who runs rollcall dev", err)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("embedded.Running: %s: %w; restart rollcall dev", recordPath(dir), err)
	}
	return r, nil
}

func notRunning(dir string) error {
	return fmt.Errorf("%w on %s: start it, or set DATABASE_URL and REDIS_URL", ErrNotRunning, dir)
}

func recordPath(dir string) string { return filepath.Join(dir, "servers.json") }

// write replaces the record in one step: a reader never sees half of one.
func (r Record) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	fresh := recordPath(dir) + ".new"
	if err := os.WriteFile(fresh, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, recordPath(dir))
}

func removeRecord(dir string) error {
	if err := os.Remove(recordPath(dir)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// acquire takes the folder for this process, or returns ErrInUse with the pid
// that has it. The kernel drops the lock with the process that holds it, so a
// dead one is no obstacle; a record it left behind is removed.
func acquire(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel() // longer than held holds it
	f, err := waitLock(ctx, path)
	if errors.Is(err, context.DeadlineExceeded) {
		pid, _ := os.ReadFile(path)
		return nil, fmt.Errorf("%w: process %s runs its servers on %s; stop it or choose another folder (--data)",
			ErrInUse, strings.TrimSpace(string(pid)), dir)
	}
	if err != nil {
		return nil, fmt.Errorf("%w; choose another folder (--data)", err)
	}
	if err := errors.Join(removeRecord(dir), f.Truncate(0)); err != nil {
		f.Close()
		return nil, err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	return f, err
}

// waitLock opens path and locks it, waiting for its holder until ctx ends.
// Closing the file, in every process that has it open, unlocks it.
func waitLock(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// held tells whether a process holds the lock at path. It is taken for a moment
// to find out, shared, so that two who ask do not see each other.
func held(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return errors.Is(err, fs.ErrPermission)
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK)
}
