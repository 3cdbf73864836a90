package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// memory runs `rollcall serve` and `rollcall work` as processes of their own
// under the load of apply, and reports the most memory each held.
func (s *system) memory(ctx context.Context, r *Report, n int) error {
	if err := s.empty(ctx); err != nil {
		return err
	}
	binary, listen, err := s.program(ctx)
	if err != nil {
		return err
	}
	processes := map[string]*exec.Cmd{}
	for _, name := range []string{"serve", "work"} {
		cmd := exec.CommandContext(ctx, binary, name)
		cmd.Env = append(os.Environ(), "DATABASE_URL="+s.servers.DatabaseURL, "REDIS_URL="+s.servers.RedisURL,
			"LISTEN="+listen,
			"STRIPE_WEBHOOK_SECRETS="+secret, "ADMIN_TOKEN=bench-0123456789abcdef0123456789abcdef", "LOG_LEVEL=error")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		defer cmd.Process.Kill()
		processes[name] = cmd
	}
	if err := ready(ctx, "http://"+listen+"/healthz"); err != nil {
		return err
	}
	if _, _, err := newLoad("http://"+listen+"/webhooks/stripe").run(ctx, s.next(n)); err != nil {
		return err
	}
	if err := s.untilDone(ctx); err != nil {
		return err
	}
	for _, name := range []string{"serve", "work"} {
		if peak, err := peakMemory(processes[name].Process.Pid); err == nil {
			r.add("(d) memory of "+name, peak, "MB", "at most, under the load of (b)")
		}
		err = errors.Join(err, processes[name].Process.Signal(syscall.SIGTERM), processes[name].Wait())
	}
	return err
}

// program builds rollcall, and finds an address for it to listen on.
func (s *system) program(ctx context.Context) (binary, listen string, err error) {
	binary = filepath.Join(s.dir, "rollcall")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/rollcall").CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("building ./cmd/rollcall: %w\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	return binary, l.Addr().String(), l.Close()
}

func ready(ctx context.Context, url string) error {
	for tick := time.Tick(20 * time.Millisecond); ; {
		if res, err := http.Get(url); err == nil {
			return res.Body.Close()
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// peakMemory is a process's largest resident set so far, in MB, as Linux tells it.
func peakMemory(pid int) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kb, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(kb, "kB")), 64)
			return n / 1024, err
		}
	}
	return 0, errors.New("no VmHWM")
}
