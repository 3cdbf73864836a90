package main

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"
)

// daemon is a process in the background, which ends with the test.
type daemon struct {
	cmd   *exec.Cmd
	log   bytes.Buffer // to be read when it has ended
	ended chan struct{}
	err   error
}

func launch(t *testing.T, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &d.log, &d.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.err = cmd.Wait(); close(d.ended) }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-d.ended
		if t.Failed() {
			t.Logf("%s:\n%s", cmd, &d.log)
		}
	})
	return d
}

func (d *daemon) runs() bool {
	if d == nil {
		return false
	}
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// wait returns how the process ended, if it does within a time.
func (d *daemon) wait(patience time.Duration) error {
	select {
	case <-d.ended:
		return d.err
	case <-time.After(patience):
		return fmt.Errorf("has not ended within %v", patience)
	}
}

// freePort is a port of 127.0.0.1 on which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
