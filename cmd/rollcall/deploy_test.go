package main

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"
)

// What deploy/ and the Makefile offer is held against the program; docker-compose.yml
// and the documents have tests of their own.

// isCommand says why words are no command line of the program's: there is no such
// command, flag or value. What is left out is not asked for.
func isCommand(words ...string) error {
	var cli commandLine
	trace, err := kong.Trace(kong.Must(&cli, kong.Name("rollcall"), kong.Vars{"data": "d"}), words)
	if err != nil {
		return err
	}
	return trace.Error
}

// manifest is what we look at of a Kubernetes object.
type manifest struct {
	Kind     string
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
	}
	StringData map[string]string `yaml:"stringData"`
	Data       map[string]string
	Spec       struct {
		Replicas *int
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
			App         string
		}
		ScaleTargetRef struct{ Kind, Name string } `yaml:"scaleTargetRef"`
		Ports          []port
		Template       struct {
			Metadata struct{ Labels, Annotations map[string]string }
			Spec     struct {
				Grace      int   `yaml:"terminationGracePeriodSeconds"`
				Token      *bool `yaml:"automountServiceAccountToken"`
				Containers []container
				Security   struct {
					RunAsNonRoot bool                  `yaml:"runAsNonRoot"`
					RunAsUser    int                   `yaml:"runAsUser"`
					Seccomp      struct{ Type string } `yaml:"seccompProfile"`
				} `yaml:"securityContext"`
			}
		}
	}
}

type port struct {
	Name          string
	ContainerPort int    `yaml:"containerPort"`
	TargetPort    string `yaml:"targetPort"`
}

type container struct {
	Image   string
	Args    []string
	Env     []struct{ Name string }
	EnvFrom []map[string]struct{ Name string } `yaml:"envFrom"`
	Ports   []port
	Live    *probe `yaml:"livenessProbe"`
	Ready   *probe `yaml:"readinessProbe"`

	Resources struct{ Limits, Requests map[string]string }
	Security  struct {
		Escalation   *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnly     bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities struct{ Add, Drop []string }
	} `yaml:"securityContext"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

func manifests(t *testing.T) map[string]manifest {
	t.Helper()
	all := map[string]manifest{}
	decoder := yaml.NewDecoder(strings.NewReader(readFile(t, "../../deploy/kubernetes/rollcall.yaml")))
	for {
		var m manifest
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[m.Kind+"/"+m.Metadata.Name] = m
	}
}

// TestKubernetes: the objects fit each other and the program: commands, settings,
// ports, probes, labels, names.
func TestKubernetes(t *testing.T) {
	all := manifests(t)
	for _, source := range []manifest{all["Secret/rollcall"], all["Secret/rollcall-serve"], all["Secret/rollcall-work"],
		all["ConfigMap/rollcall"]} {
		for _, given := range []map[string]string{source.StringData, source.Data} {
			for name := range given {
				if !slices.Contains(settings(), name) {
					t.Errorf("%s: %s is no setting", source.Kind, name)
				}
			}
		}
	}
	for _, name := range []string{"Job/rollcall-migrate", "Deployment/rollcall-serve", "Deployment/rollcall-work"} {
		wantRuns(t, all, all[name])
	}
	serve, config := all["Deployment/rollcall-serve"], all["ConfigMap/rollcall"].Data
	for _, name := range []string{"Service/rollcall", "PodDisruptionBudget/rollcall-serve"} {
		selector := all[name].Spec.Selector
		if app := serve.Spec.Template.Metadata.Labels["app"]; selector.App != app && selector.MatchLabels["app"] != app {
			t.Errorf("%s selects nothing", name)
		}
	}
	if to := all["HorizontalPodAutoscaler/rollcall-serve"].Spec.ScaleTargetRef; to.Kind+"/"+
		to.Name != "Deployment/rollcall-serve" || serve.Spec.Replicas != nil {
		t.Errorf("the autoscaler scales %v, of %v replicas", to, serve.Spec.Replicas)
	}
	for _, p := range serve.Spec.Template.Spec.Containers[0].Ports {
		if want := map[string]string{"http": config["LISTEN"], "metrics": config["METRICS_LISTEN"]}[p.Name]; yamlPort(
			p) != want {
			t.Errorf("port %s is %s, and the setting %q", p.Name, yamlPort(p), want)
		}
	}
}

func yamlPort(p port) string {
	text, _ := yaml.Marshal(p.ContainerPort)
	return ":" + strings.TrimSpace(string(text))
}

// wantRuns wants the pods of a manifest to run the program as it can be run.
func wantRuns(t *testing.T, all map[string]manifest, m manifest) {
	t.Helper()
	pod := m.Spec.Template
	if len(pod.Spec.Containers) != 1 {
		t.Fatalf("%s: %d containers", m.Metadata.Name, len(pod.Spec.Containers))
	}
	c := pod.Spec.Containers[0]
	if err := isCommand(c.Args...); err != nil || c.Image != "rollcall:latest" {
		t.Errorf("%s runs %s %q: %v", m.Metadata.Name, c.Image, c.Args, err)
	}
	for _, from := range c.EnvFrom {
		for kind, source := range from {
			if _, ok := all[map[string]string{"configMapRef": "ConfigMap/", "secretRef": "Secret/"}[kind]+source.Name]; !ok {
				t.Errorf("%s: there is no %s %s", m.Metadata.Name, kind, source.Name)
			}
		}
	}
	if m.Kind != "Deployment" {
		return
	}
	if m.Spec.Selector.MatchLabels["app"] != pod.Metadata.Labels["app"] || pod.Spec.Grace <= 25 || c.Live == nil {
		t.Errorf("%s: selects %v, grace %d s, probe %v", m.Metadata.Name, m.Spec.Selector, pod.Spec.Grace, c.Live)
	}
	for _, p := range []*probe{c.Live, c.Ready} {
		if p != nil && (!slices.Contains([]string{"/healthz", "/readyz"}, p.HTTPGet.Path) ||
			!slices.ContainsFunc(c.Ports, func(there port) bool { return there.Name == p.HTTPGet.Port })) {
			t.Errorf("%s: probe %+v", m.Metadata.Name, p)
		}
	}
}

// TestUnits: what the units run is a command line of the program's, with time
// enough to end. Where there is a systemd, it finds nothing wrong with them either;
// TestDocuments runs them.
func TestUnits(t *testing.T) {
	var copies []string
	for _, name := range []string{"rollcall-serve.service", "rollcall-work@.service"} {
		text := readFile(t, "../../deploy/systemd/"+name)
		commands := regexp.MustCompile(`(?m)^ExecStart(?:Pre)?=/usr/local/bin/rollcall (.*)$`).FindAllStringSubmatch(text, -1)
		if len(commands) == 0 || !strings.Contains(text, "TimeoutStopSec=40\n") {
			t.Errorf("%s: %q", name, commands)
		}
		for _, c := range commands {
			if err := isCommand(strings.Fields(c[1])...); err != nil {
				t.Errorf("%s: %s: %v", name, c[1], err)
			}
		}
		copies = append(copies, filepath.Join(t.TempDir(), strings.Replace(name, "@", "@1", 1)))
		there := strings.ReplaceAll(text, "/usr/local/bin/rollcall", "/bin/true") // verify wants a program
		if err := os.WriteFile(copies[len(copies)-1], []byte(there), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if verify, err := exec.LookPath("systemd-analyze"); err == nil {
		if out, err := exec.Command(verify, append([]string{"verify"}, copies...)...).CombinedOutput(); err != nil ||
			len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
	}
}

// TestMakefile: every target that a text names is there, and the image and make
// build the program alike.
func TestMakefile(t *testing.T) {
	makefile := readFile(t, "../../Makefile")
	for _, name := range documents(t) {
		for _, m := range regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllStringSubmatch(readFile(t, name), -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
				t.Errorf("%s: there is no make %s", name, m[1])
			}
		}
	}
	if !strings.Contains(makefile, "\tgo test -timeout 30m -vet=off -parallel 4 ./... $(ARGS)\n") {
		t.Error("make test does not run all tests")
	}
	dry, err := exec.Command("make", "-n", "-C", "../..", "fuzz", "FUZZTIME=7x").CombinedOutput()
	if err != nil || !strings.Contains(string(dry), `-fuzz "^$target\$" -fuzztime 7x`) {
		t.Errorf("make fuzz: %v\n%s", err, dry)
	}
	build := regexp.MustCompile( // an image's sources have no history: it is told commit and date
		`CGO_ENABLED=0 go build -trimpath -ldflags .-s -w -X main.version=\$[({]VERSION[)}]` +
			`( -X main.commit=\$\{COMMIT} -X main.date=\$\{DATE})?. -o \S*rollcall ./cmd/rollcall`)
	for _, text := range []string{makefile, readFile(t, "../../Dockerfile")} {
		if !build.MatchString(text) {
			t.Errorf("builds otherwise:\n%s", text)
		}
	}
}

// TestCommandsInTexts: what a text names between its lines as a command of the
// program is one, with flags that there are.
func TestCommandsInTexts(t *testing.T) {
	for _, name := range documents(t) {
		text := fence.ReplaceAllString(readFile(t, name), "")
		for _, m := range regexp.MustCompile("`rollcall ([a-z][^`]*)`").FindAllStringSubmatch(text, -1) {
			words := strings.Fields(regexp.MustCompile(`\bID\b|<[A-Z ]+>|…`).ReplaceAllString(m[1], "1"))
			if err := isCommand(words...); err != nil {
				t.Errorf("%s: `rollcall %s`: %v", name, m[1], err)
			}
		}
	}
}

// TestLinks: what a document refers to is there, down to the heading.
func TestLinks(t *testing.T) {
	contributors := []string{"../../CONTRIBUTING.md", "../../CHANGELOG.md", "../../SECURITY.md"}
	decisions, err := filepath.Glob("../../docs/decisions/*.md")
	if err != nil || len(decisions) == 0 {
		t.Fatal("no decisions:", err)
	}
	for _, name := range slices.Concat(documents(t), contributors, decisions) {
		for _, m := range regexp.MustCompile(`(?:src|srcset)="([^"]*)"`).FindAllStringSubmatch(readFile(t, name), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`).FindAllStringSubmatch(readFile(t, name), -1) {
			target := name
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(name), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if m[2] != "" && !slices.Contains(anchors(readFile(t, target)), m[2]) {
				t.Errorf("%s: %s has no heading #%s", name, target, m[2])
			}
		}
	}
}

// anchors are what the headings of a text are called in links.
func anchors(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		plain := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}

// What is in front of serve is believed: where Docker and Kubernetes give it an
// address, it is among TRUSTED_PROXIES.
func TestProxiesAreTrusted(t *testing.T) {
	compose := regexp.MustCompile(`TRUSTED_PROXIES: \$\{TRUSTED_PROXIES:-(.*)\}`).FindStringSubmatch(
		readFile(t, "../../docker-compose.yml"))
	if compose == nil {
		t.Fatal("docker-compose.yml does not set TRUSTED_PROXIES")
	}
	for of, c := range map[string]struct{ list, address string }{
		"compose, its own network": {compose[1], "172.18.0.1"},
		"compose, many networks":   {compose[1], "192.168.16.1"},
		"Kubernetes":               {manifests(t)["ConfigMap/rollcall"].Data["TRUSTED_PROXIES"], "10.244.3.7"},
	} {
		networks, err := (&Config{TrustedProxies: &c.list}).proxies()
		at := netip.MustParseAddr(c.address)
		if err != nil || !slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(at) }) {
			t.Errorf("%s: %q (%v) lacks %s", of, c.list, err, at)
		}
	}
}
