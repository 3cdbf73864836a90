package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
	"rollcall/store"
)

// startTestDev starts a dev on servers of the test's own; config may change its
// settings.
func startTestDev(t *testing.T, config func(*Config)) *dev {
	t.Helper()
	servers := testdb.Private(t)
	c := Config{
		DatabaseURL: &servers.DatabaseURL, RedisURL: &servers.RedisURL, Data: passable(t), Listen: ptr("127.0.0.1:0"),
		StripeMode: new("any"), PlatformProductTypes: "ppr_pro",
	}
	if config != nil {
		config(&c)
	}
	return startTestDevWith(t, c)
}

// startTestDevWith starts a dev with settings.
func startTestDevWith(t *testing.T, c Config) *dev {
	t.Helper()
	e := &env{Context: t.Context(), err: t.Output(), out: t.Output(), Config: c}
	d, err := e.startDev(slog.New(tracedHandler{slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: slog.LevelError})}),
		nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// metric is a row of the table in docs/metrics.md.
type metric struct{ name, kind, labels, help string }

// documentedMetrics reads the table.
func documentedMetrics(t *testing.T) (rows []metric) {
	t.Helper()
	for _, m := range regexp.MustCompile(
		"(?m)^\\| `(rollcall_\\w+)` \\| (\\w+) \\| (.*) \\| (.*) \\|$").FindAllStringSubmatch(
		readFile(t, "../../docs/metrics.md"), -1) {
		rows = append(rows, metric{m[1], m[2], strings.ReplaceAll(m[3], "`", ""), m[4]})
	}
	return rows
}

// The table of docs/metrics.md is what is registered, word for word.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	var registered, documented []string
	for _, m := range registeredMetrics(t) {
		registered = append(registered, fmt.Sprintf("| `%s` | … | %s | %s |", m.name, m.labels, m.help))
	}
	for _, m := range documentedMetrics(t) {
		documented = append(documented, fmt.Sprintf("| `%s` | … | %s | %s |", m.name, m.labels, m.help))
	}
	for _, row := range registered {
		if !slices.Contains(documented, row) {
			t.Errorf("not in docs/metrics.md:\n%s", row)
		}
	}
	for _, row := range documented {
		if !slices.Contains(registered, row) {
			t.Errorf("in docs/metrics.md, and not so:\n%s", row)
		}
	}
}

var descText = regexp.MustCompile(
	`^Desc\{fqName: "(\w+)", help: (".*"), unit: ".*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// registeredMetrics lists what a process can tell that serves and works.
func registeredMetrics(t *testing.T) (rows []metric) {
	t.Helper()
	e := &env{Context: context.Background(), Config: Config{StripeMode: new("any")}}
	log := slog.New(slog.DiscardHandler)
	s, err := store.Open(t.Context(), "postgres://nobody@127.0.0.1:1/nothing", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	redis, err := jobs.ParseRedis("redis://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	w, err := e.watch(s, redis, log)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	site, err := e.newSite(s, redis, w)
	if err != nil {
		t.Fatal(err)
	}
	defer site.close()
	_, closing, err := e.newWorker(s, redis, w)
	if err != nil {
		t.Fatal(err)
	}
	defer closing()
	descriptions := make(chan *prometheus.Desc)
	go func() { w.registry.Describe(descriptions); close(descriptions) }()
	for d := range descriptions {
		if m, ok := readDescription(t, d); ok && !slices.Contains(rows, m) {
			rows = append(rows, m)
		}
	}
	return rows
}

func readDescription(t *testing.T, d *prometheus.Desc) (metric, bool) {
	t.Helper()
	m := descText.FindStringSubmatch(d.String())
	if m == nil {
		t.Fatalf("unreadable: %s", d)
	}
	help, err := strconv.Unquote(m[2])
	if err != nil {
		t.Fatal(err)
	}
	var labels []string
	for label := range strings.SplitSeq(m[3]+","+m[4], ",") {
		if name, _, _ := strings.Cut(label, "="); name != "" {
			labels = append(labels, name)
		}
	}
	return metric{name: m[1], labels: strings.Join(labels, ", "), help: help}, strings.HasPrefix(m[1], "rollcall_")
}

// No log, whatever its format, has the text of an error as it is.
func TestLogsArePlain(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		c := Config{LogLevel: "debug", LogFormat: format}
		c.logger(&out).Debug("failed", "error", errors.New("no place for ava@x.example"))
		if !strings.Contains(out.String(), "no place for …") {
			t.Errorf("%s: %s", format, &out)
		}
	}
}

// A line in the log says which trace it belongs to, if any.
func TestLinesHaveTheirTrace(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	var out bytes.Buffer
	log := slog.New(tracedHandler{slog.NewTextHandler(&out, nil)}).With("a", "b").WithGroup("g")
	log.InfoContext(jobs.WithTraceparent(t.Context(), "00-"+trace+"-00f067aa0ba902b7-01"), "one")
	log.InfoContext(t.Context(), "two")
	if strings.Count(out.String(), trace) != 1 || strings.Count(out.String(), "trace_id") != 1 {
		t.Errorf("%s", &out)
	}
}
