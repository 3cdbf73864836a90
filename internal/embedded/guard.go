package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// guard is a shell script that becomes the server named by its arguments, after
// leaving behind a watcher that sends the signal $0 to the server when this
// process dies, however it dies: the kernel then closes our end of the pipe that
// the watcher reads. Chosen over Pdeathsig because it also works on macOS and
// does not depend on a thread.
//
// A line written to the pipe sends the watcher away: the server has ended and
// its pid may soon be another's. The watcher is an orphan from the start (the
// double fork), because Postgres takes the death of an unknown child for the
// crash of a backend. Descriptor 4, the server's lock, must live in the server
// alone.
const guard = `( ( read -r _ <&3 || kill -s "$0" $$ ) 4<&- </dev/null >/dev/null 2>&1 & )
exec "$@" 3<&-`

// Command is what to run, as whom, and how to ask it to end.
type Command struct {
	Args    []string
	Dir     string
	Env     []string // empty: ours
	Signal  string   // asks for an orderly end: "INT", "TERM"
	account *account
	output  *os.File
	lock    *os.File // inherited: held as long as the server or a child of it lives
}

// process is a running server.
type process struct {
	cmd      *exec.Cmd
	leash    *os.File      // our end of the watcher's pipe
	exited   chan struct{} // closed when the server is gone
	err      error         // how it ended; read after exited
	expected atomic.Bool   // we asked it to end
}

// run starts c in a process group of its own, so that Ctrl-C in a terminal
// reaches us alone and the servers are stopped in order.
func run(c Command) (*process, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command("/bin/sh", append([]string{"-c", guard, c.Signal}, c.Args...)...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	cmd.Stdout, cmd.Stderr = c.output, c.output
	cmd.ExtraFiles = []*os.File{theirs, c.lock} // descriptors 3 and 4
	cmd.SysProcAttr = c.account.attributes()
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	p := &process{cmd: cmd, leash: ours, exited: make(chan struct{})}
	go p.wait()
	return p, nil
}

// wait reaps the server and sends its watcher away.
func (p *process) wait() {
	p.err = p.cmd.Wait()
	p.leash.WriteString("\n") // fails only if the watcher is gone already
	p.leash.Close()
	close(p.exited)
}

// end sends sig and waits until the server is gone; after stopTimeout it is
// killed and the error says so.
func (p *process) end(sig syscall.Signal) error {
	p.expected.Store(true)
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.exited
	return fmt.Errorf("%s did not end within %v of signal %v and was killed",
		p.cmd.Args[4], stopTimeout, sig)
}
