package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// project is docker-compose.yml, as far as the tests look at it.
type project struct{ Services map[string]service }

// service is one of its services. Builds, networks, volumes and restarts are for
// Docker alone.
type service struct {
	Name            string `yaml:"-"`
	Image, User     string
	Entrypoint      []string
	Command         []string
	Ports           []string
	Environment     map[string]*string   // nil: as .env has it, if it does
	DependsOn       map[string]condition `yaml:"depends_on"`
	HealthCheck     *struct{ Test []string }
	StopGracePeriod time.Duration `yaml:"stop_grace_period"`
	ReadOnly        bool          `yaml:"read_only"`
	Privileged      bool
	CapAdd          []string `yaml:"cap_add"`
	CapDrop         []string `yaml:"cap_drop"`
	SecurityOpt     []string `yaml:"security_opt"`
	PidsLimit       int      `yaml:"pids_limit"`
	MemLimit        string   `yaml:"mem_limit"`
}

// condition is of another service, for which a service waits.
type condition struct{ Condition string }

const (
	healthy   = "service_healthy"
	completed = "service_completed_successfully"
)

// readCompose reads docker-compose.yml as Docker does, with the variables of .env.
func readCompose(t *testing.T, env map[string]string) project {
	t.Helper()
	text := variable.ReplaceAllStringFunc(readFile(t, "../../docker-compose.yml"), func(found string) string {
		m := variable.FindStringSubmatch(found)
		switch value := env[m[1]]; {
		case value != "":
			return value
		case m[2] == "?":
			t.Fatalf("%s: %s", m[1], m[3])
		}
		return m[3]
	})
	var p project
	if err := yaml.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	for name, s := range p.Services {
		s.Name = name
		for setting, value := range s.Environment {
			if given, ok := env[setting]; ok && value == nil {
				s.Environment[setting] = &given
			}
		}
		p.Services[name] = s
	}
	return p
}

// variable is ${NAME:?what is wrong without it} or ${NAME:-what it is then}.
var variable = regexp.MustCompile(`\$\{(\w+):([?-])([^}]*)\}`)

// environment is what a service's container has in its environment.
func (s service) environment() map[string]string {
	all := map[string]string{}
	for name, value := range s.Environment {
		if value != nil {
			all[name] = *value
		}
	}
	return all
}

// readEnv reads an .env file: name=value, perhaps in single quotes.
func readEnv(t *testing.T, path string) map[string]string {
	t.Helper()
	env := map[string]string{}
	for line := range strings.Lines(readFile(t, path)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			env[name] = strings.Trim(value, "'")
		}
	}
	return env
}
