package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

// portTries is how many ports are tried when others keep taking the free one
// between our look and the server's.
const portTries = 3

// errEnded: the server ended instead of answering.
var errEnded = errors.New("it ended at once")

// A Daemon is a server program that can be started again and again on one port,
// and ends with this process.
type Daemon struct {
	Name   string
	Signal syscall.Signal // asks for an orderly end
	Path   string         // of <path>.log and <path>.lock
	Log    *slog.Logger

	Command func(port int) (Command, error)
	Ping    func(ctx context.Context, port int) error
	Ended   func() // it did, though nobody asked; nil: nobody wants to know

	Port int // 0 until the first start
	proc *process
}

// Start starts the server and returns when it answers. The first start chooses
// a free port and keeps it.
func (d *Daemon) Start(ctx context.Context) error {
	if d.running() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if d.Port != 0 {
		return d.launch(ctx, d.Port)
	}
	var err error
	for range portTries {
		port := FreePort()
		if err = d.launch(ctx, port); err == nil {
			d.Port = port
			return nil
		}
		// Not asked: whether the port was taken. Another process looking for a
		// free one takes it for a moment only.
		if !errors.Is(err, errEnded) {
			return err
		}
	}
	return err
}

func (d *Daemon) running() bool {
	if d.proc == nil {
		return false
	}
	select {
	case <-d.proc.exited:
		return false
	default:
		return true
	}
}

// launch runs the server on port. If it does not come up it is gone when launch
// returns, and the error has the end of its log.
func (d *Daemon) launch(ctx context.Context, port int) error {
	lock, err := waitLock(ctx, d.Path+".lock")
	if err != nil {
		return fmt.Errorf("the %s of an earlier run has not ended: %w", d.Name, err)
	}
	defer lock.Close() // the server has its own copy
	output, err := os.OpenFile(d.Path+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	c, err := d.Command(port)
	if err != nil {
		return err
	}
	c.lock, c.output = lock, output
	if d.proc, err = run(c); err != nil {
		return err
	}
	if err := d.await(ctx, port); err != nil {
		d.proc.end(syscall.SIGKILL)
		return fmt.Errorf("%s did not start on port %d: %w; the end of %s.log:\n%s",
			d.Name, port, err, d.Path, tail(d.Path+".log", 15))
	}
	go d.watch(d.proc)
	return nil
}

// await polls until the server answers, dies or runs out of time.
func (d *Daemon) await(ctx context.Context, port int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		select {
		case <-d.proc.exited:
			return fmt.Errorf("%w (%v)", errEnded, d.proc.err) //nolint:errorlint // nil, if it ended well
		case <-ctx.Done():
			return fmt.Errorf("%w (last answer: %v)", context.Cause(ctx), last) //nolint:errorlint // nil if not asked yet
		case <-tick.C:
		}
		if last = d.Ping(ctx, port); last == nil {
			return nil
		}
	}
}

// watch reports the end of a server that nobody asked to end.
func (d *Daemon) watch(p *process) {
	<-p.exited
	if p.expected.Load() {
		return
	}
	d.Log.Error("server ended unexpectedly", "server", d.Name, "error", p.err, "log", d.Path+".log")
	if d.Ended != nil {
		d.Ended()
	}
}

// Stop asks the server to end, and waits.
func (d *Daemon) Stop() error { return d.end(d.Signal) }

// Kill is for tests of failure. A Postgres killed leaves backends that end a
// moment later; the next start waits for them by the lock they hold.
func (d *Daemon) Kill() error { return d.end(syscall.SIGKILL) }

func (d *Daemon) end(sig syscall.Signal) error {
	if !d.running() {
		return nil
	}
	return d.proc.end(sig)
}

// tail returns the last lines of a file, or why it cannot.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// FreePort finds a port of 127.0.0.1 that is free now. It stays below the ranges
// from which Linux (32768) and macOS (49152) take ports for outgoing
// connections: while a server is stopped, its port is then not given away to a
// client trying to reach it.
func FreePort() int {
	for range 1000 {
		if port := 15000 + rand.IntN(17000); portFree(port) {
			return port
		}
	}
	return 15000 // the server's own error tells
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return !errors.Is(err, syscall.EADDRINUSE)
	}
	l.Close()
	return true
}

// Addr is where the server listens.
func (d *Daemon) Addr() string { return loopback(d.Port) }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
