package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rollcall/cmd/rollcall/internal/demo"
	"rollcall/webhooks"
)

// What deploy/ offers to those who watch is tested with the programs that read
// it: Prometheus' own.

// program finds one of Prometheus' programs.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run `make setup-test`, or install it (Debian, Ubuntu: apt-get install prometheus; "+
			"Homebrew: brew install prometheus)", name)
	}
	return path
}

func promtool(t *testing.T, stdin io.Reader, args ...string) {
	t.Helper()
	cmd := exec.Command(program(t, "promtool"), args...)
	cmd.Stdin = stdin
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "rollcall_") && args[1] == "metrics" {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

const prometheusFiles = "../../deploy/prometheus"

// Each alert is well formed, says what it is about and what to do, and has a test
// in which it fires.
func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool(t, nil, "check", "config", prometheusFiles+"/prometheus.yml")
	promtool(t, nil, "check", "rules", prometheusFiles+"/alerts.yml")
	promtool(t, nil, "test", "rules", prometheusFiles+"/alerts_test.yml")
	rules, tests := readFile(t, prometheusFiles+"/alerts.yml"), readFile(t, prometheusFiles+"/alerts_test.yml")
	alerts := strings.Split(rules, "- alert: ")[1:]
	for _, alert := range alerts {
		name, _, _ := strings.Cut(alert, "\n")
		for _, want := range []string{"expr:", "summary:", "description:"} {
			if !strings.Contains(alert, want) {
				t.Errorf("alert %s has no %s", name, want)
			}
		}
		if !regexp.MustCompile(`severity: (page|ticket)\b`).MatchString(alert) {
			t.Errorf("alert %s is neither for a page nor for a ticket", name)
		}
		if !strings.Contains(tests, `alertname="`+name+`",alertstate="firing"`) {
			t.Errorf("alert %s fires in no test", name)
		}
	}
	if len(alerts) < 10 {
		t.Errorf("found %d alerts", len(alerts))
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// prom is a real Prometheus.
type prom struct {
	t   *testing.T
	url string
}

// startPrometheus starts one with the example configuration, which scrapes a
// target more often than the example does.
func startPrometheus(t *testing.T, target string) *prom {
	t.Helper()
	dir := t.TempDir()
	config := readFile(t, prometheusFiles+"/prometheus.yml")
	config = strings.NewReplacer(": 15s", ": 500ms", "127.0.0.1:9090", target, "- 127.0.0.1:9091", "#").Replace(config)
	for name, text := range map[string]string{
		"prometheus.yml": config, "alerts.yml": readFile(t, prometheusFiles+"/alerts.yml")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(program(t, "prometheus"), "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+
		"/data", "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", &log)
		}
	})
	p := &prom{t, "http://" + address}
	eventually(t, "Prometheus is ready", func() bool {
		res, err := http.Get(p.url + "/-/ready")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
	return p
}

// eventually polls until something is so, for deadline at most.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick, end := time.NewTicker(100*time.Millisecond), time.After(deadline)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %v: %s", deadline, what)
		}
	}
}

// api asks Prometheus.
func (p *prom) api(path string, answer any) error {
	res, err := http.Get(p.url + "/api/v1/" + path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var envelope struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(res.Body).Decode(&envelope); err != nil {
		return err
	}
	if envelope.Status != "success" {
		return fmt.Errorf("%s: %s", path, envelope.Error)
	}
	return json.Unmarshal(envelope.Data, answer)
}

// query returns the values that an expression has now, and which are numbers.
func (p *prom) query(expr string) (values []float64, err error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := p.api("query?query="+url.QueryEscape(expr), &data); err != nil {
		return nil, err
	}
	for _, r := range data.Result {
		text, _ := r.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		if !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return values, nil
}

// dashboardQueries are the expressions of the dashboard, by panel, as Grafana
// would ask them.
func dashboardQueries(t *testing.T) map[string][]string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, "../../deploy/grafana/rollcall.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := map[string][]string{}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			queries[p.Title] = append(queries[p.Title], strings.ReplaceAll(target.Expr, "$__rate_interval", "30s"))
		}
	}
	return queries
}

// TestDashboard: a Prometheus that scrapes a system at work finds data for every
// query of the dashboard, can evaluate every alert, and none fires.
func TestDashboard(t *testing.T) {
	t.Parallel()
	d := startTestDev(t, func(c *Config) { c.MetricsListen = ptr("127.0.0.1:0") })
	tellPast(t, d)
	p := startPrometheus(t, strings.TrimSuffix(strings.TrimPrefix(d.metrics, "http://"), "/metrics"))
	keepBusy(t, d)
	for panel, queries := range dashboardQueries(t) {
		for _, expr := range queries {
			eventually(t, panel+": data for "+expr, func() bool {
				values, err := p.query(expr)
				if err != nil {
					t.Fatal(err)
				}
				return len(values) > 0
			})
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, State, Health, LastError string }
		}
	}
	if err := p.api("rules", &rules); err != nil || len(rules.Groups) != 1 {
		t.Fatalf("%+v %v", rules, err)
	}
	for _, r := range rules.Groups[0].Rules {
		if r.Health != "ok" || r.State == "firing" {
			t.Errorf("%+v", r)
		}
	}
	wantDocumented(t, scrape(t, d.metrics))
}

// tellPast brings in the history of a store, so that there are backfills to see.
func tellPast(t *testing.T, d *dev) {
	t.Helper()
	p, err := demo.New(d.target(), 1)
	if err == nil {
		err = bringPast(d.env, p)
	}
	if err != nil || len(p.Missed) > 0 {
		t.Fatal(p.Missed, err)
	}
}

// keepBusy sends events, good and bad, looks at pages and starts backfills until
// the test ends.
func keepBusy(t *testing.T, d *dev) {
	done, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(done); <-stopped })
	go func() {
		defer close(stopped)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if err := beBusy(d, n); err != nil {
				t.Error(err)
				return
			}
		}
	}()
}

func beBusy(d *dev, n int) error {
	c := &d.env.Config
	id := fmt.Sprintf("busy_%d", n)
	body := fmt.Appendf(
		nil, `{"type":"enrollment.upserted","timestamp":%q,"data":{"course_id":"course_busy","store_id":"store_aurora",`+
			`"email":"busy%d@x.example"}}`, time.Now().Format(time.RFC3339), n%5)
	header, err := webhooks.SignPlatform(*c.PlatformSecrets, id, body, time.Now())
	if err != nil {
		return err
	}
	if status, err := call(d, http.MethodPost, "/webhooks/platform", header, body); err != nil || status != http.StatusOK {
		return fmt.Errorf("webhook: %d %w", status, err)
	}
	if n%20 == 0 {
		for _, path := range []string{"/webhooks/stripe", "/webhooks/nobody"} {
			if _, err := call(d, http.MethodPost, path, http.Header{}, body); err != nil {
				return err
			}
		}
		if _, err := call(d, http.MethodPost, "/api/admin/backfills", http.Header{"Content-Type": {"application/json"}},
			[]byte(`{"kind":"courses"}`)); err != nil {
			return err
		}
	}
	_, err = call(d, http.MethodGet, "/store/store_aurora/customers", http.Header{}, nil)
	return err
}

// call asks the site as an operator and returns the answer's status.
func call(d *dev, method, path string, header http.Header, body []byte) (int, error) {
	req, err := http.NewRequest(method, d.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = header
	req.Header.Set("Authorization", "Bearer "+*d.env.AdminToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// scrape is what /metrics answers, which promtool finds nothing wrong with.
func scrape(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	promtool(t, bytes.NewReader(text), "check", "metrics")
	return string(text)
}

// wantDocumented checks that docs/metrics.md has the type of each metric that is
// told, and that each of those is told.
func wantDocumented(t *testing.T, metrics string) {
	t.Helper()
	var told, documented []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (rollcall_\w+) (\w+)$`).FindAllStringSubmatch(metrics, -1) {
		told = append(told, m[1]+" "+m[2])
	}
	for _, row := range documentedMetrics(t) {
		documented = append(documented, row.name+" "+row.kind)
	}
	slices.Sort(told)
	slices.Sort(documented)
	for _, m := range told {
		if !slices.Contains(documented, m) {
			t.Errorf("%s is not in docs/metrics.md", m)
		}
	}
	for _, m := range documented {
		// Told only while a backfill runs.
		if !slices.Contains(told, m) && m != "rollcall_backfill_progress_timestamp_seconds gauge" {
			t.Errorf("%s is in docs/metrics.md, and not told", m)
		}
	}
}
