package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// spent is the processor time that this program used up to now, and that Postgres did, as Linux counts them. Of
// work that others disturb it says more than the time on the clock.
func (s *system) spent(ctx context.Context) (own, postgres time.Duration) {
	var used syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	own = time.Duration(used.Utime.Nano() + used.Stime.Nano())
	parent := processStat(fmt.Sprintf("/proc/%d/stat", query[int](ctx, s, `SELECT pg_backend_pid()`))).parent
	for _, path := range try(filepath.Glob("/proc/[0-9]*/stat")) {
		switch p := processStat(path); parent {
		case p.id:
			postgres += p.own + p.ended
		case p.parent:
			postgres += p.own
		}
	}
	return own, postgres
}

// processor begins to measure what each of n costs: microseconds of processor time, as spent.
func (s *system) processor(ctx context.Context, n int) (each func() (own, postgres float64)) {
	ownBefore, postgresBefore := s.spent(ctx)
	return func() (float64, float64) {
		own, postgres := s.spent(ctx)
		return float64((own - ownBefore).Microseconds()) / float64(n),
			float64((postgres - postgresBefore).Microseconds()) / float64(n)
	}
}

type processTimes struct {
	id, parent int
	own, ended time.Duration // of itself, and of its children that ended
}

// processStat reads what proc(5) calls /proc/pid/stat; all is 0 of a process that ended.
func processStat(path string) (p processTimes) {
	text, err := os.ReadFile(path)
	behind := bytes.LastIndexByte(text, ')') // of the name of the program
	if err != nil || behind < 0 {
		return p
	}
	p.id, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
	fields := strings.Fields(string(text[behind+1:])) // the first is the third of the manual's
	number := func(n int) int { v, _ := strconv.Atoi(fields[n-3]); return v }
	const tick = 10 * time.Millisecond
	p.parent = number(4)
	p.own, p.ended = time.Duration(number(14)+number(15))*tick, time.Duration(number(16)+number(17))*tick
	return p
}
