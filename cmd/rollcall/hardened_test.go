package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// What an intruder finds and can do: each process has the secrets that it needs and no
// others, no rights that it does not need, and no more memory than the budget.

var (
	// keysOfWork open what is elsewhere. serve, which the world may reach, has none.
	keysOfWork = []string{"STRIPE_API_KEY", "CLERK_SECRET_KEY", "ALERT_WEBHOOK_SECRET", "MAIL_SMTP_URL",
		"RESEND_API_KEY"}
	// keysOfServe open what is here.
	keysOfServe = []string{"ADMIN_TOKEN", "STRIPE_WEBHOOK_SECRETS", "CLERK_WEBHOOK_SECRETS", "PLATFORM_WEBHOOK_SECRETS"}
)

// memory is what each process is given.
const memory = "512m"

// wantKeys wants of what a process gets its own keys alone.
func wantKeys(t *testing.T, what, command string, has func(string) bool) {
	t.Helper()
	never := map[string][]string{"serve": keysOfWork, "work": keysOfServe,
		"migrate": slices.Concat(keysOfServe, keysOfWork, []string{"REDIS_URL"})}[command]
	for _, name := range never {
		if has(name) {
			t.Errorf("%s: %s gets %s, which it does not need", what, command, name)
		}
	}
}

// settingsOf are the environment variables that a command uses.
func settingsOf(command string) (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if name := field.Tag.Get("env"); name != "" && slices.Contains(groupsOf[command], field.Tag.Get("group")) {
			names = append(names, name)
		}
	}
	return names
}

// composeWithAll is docker-compose.yml beside an .env that sets every variable.
func composeWithAll(t *testing.T) project {
	t.Helper()
	env := map[string]string{}
	for _, name := range slices.Concat(settings(), composeOnly) {
		env[name] = "x"
	}
	return readCompose(t, env)
}

// TestComposeHardened: in each container the root file system is read-only, no right
// is held or gained, and serve and work have all settings that they use.
func TestComposeHardened(t *testing.T) {
	services := composeWithAll(t).Services
	for name, s := range services {
		if !s.ReadOnly || s.Privileged || !slices.Equal(s.CapDrop, []string{"ALL"}) ||
			!slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.PidsLimit == 0 {
			t.Errorf("%s: read-only %v, privileged %v, drops %v, %v, processes %d", name, s.ReadOnly, s.Privileged, s.CapDrop,
				s.SecurityOpt, s.PidsLimit)
		}
		if s.Image == "rollcall" && (len(s.CapAdd) > 0 || s.User == "" || strings.HasPrefix(s.User, "0") ||
			s.MemLimit != memory) {
			t.Errorf("%s: adds %v, user %q, memory %s", name, s.CapAdd, s.User, s.MemLimit)
		}
	}
	for _, command := range []string{"serve", "work", "migrate"} {
		got := services[command].environment()
		wantKeys(t, "docker-compose.yml", command, func(name string) bool { _, ok := got[name]; return ok })
		for _, name := range settingsOf(command) {
			if _, ok := got[name]; !ok && command != "migrate" && name != "ROLLCALL_DATA" { // of dev and demo alone
				t.Errorf("docker-compose.yml: %s does not get %s, which it uses", command, name)
			}
		}
	}
}

// TestKubernetesHardened: the same of the pods. "restricted" is Kubernetes' own
// standard (kubernetes.io/docs/concepts/security/pod-security-standards).
func TestKubernetesHardened(t *testing.T) {
	all := manifests(t)
	if all["Namespace/rollcall"].Metadata.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Error("the namespace takes pods that are less hardened")
	}
	for name, command := range map[string]string{"Job/rollcall-migrate": "migrate", "Deployment/rollcall-serve": "serve",
		"Deployment/rollcall-work": "work"} {
		pod := all[name].Spec.Template.Spec
		c := pod.Containers[0]
		if !pod.Security.RunAsNonRoot || pod.Security.RunAsUser == 0 || pod.Security.Seccomp.Type != "RuntimeDefault" ||
			pod.Token == nil || *pod.Token {
			t.Errorf("%s: %+v, token %v", name, pod.Security, pod.Token)
		}
		if s := c.Security; s.Escalation == nil || *s.Escalation || !s.ReadOnly ||
			!slices.Equal(s.Capabilities.Drop, []string{"ALL"}) || len(s.Capabilities.Add) > 0 {
			t.Errorf("%s: %+v", name, s)
		}
		if c.Resources.Limits["memory"] != "512Mi" || c.Resources.Requests["memory"] == "" ||
			c.Resources.Requests["cpu"] == "" {
			t.Errorf("%s: %+v", name, c.Resources)
		}
		wantKeys(t, name, command, func(setting string) bool { return c.gets(all, setting) })
	}
}

// gets tells whether a container has a variable.
func (c container) gets(all map[string]manifest, setting string) bool {
	for _, from := range c.EnvFrom {
		for kind, source := range from {
			m := all[map[string]string{"configMapRef": "ConfigMap/", "secretRef": "Secret/"}[kind]+source.Name]
			if m.Data[setting]+m.StringData[setting] != "" {
				return true
			}
		}
	}
	return slices.ContainsFunc(c.Env, func(e struct{ Name string }) bool { return e.Name == setting })
}

// TestUnitsHardened: the same of the units; where there is a systemd, by its judgement.
func TestUnitsHardened(t *testing.T) {
	for command, file := range map[string]string{"serve": "rollcall-serve.service", "work": "rollcall-work@.service"} {
		path := filepath.Join("..", "..", "deploy", "systemd", file)
		lines := strings.Split(readFile(t, path), "\n")
		for _, want := range []string{"DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes",
			"PrivateTmp=yes", "PrivateDevices=yes",
			"ProtectKernelModules=yes", "RestrictSUIDSGID=yes", "SystemCallFilter=@system-service", "CapabilityBoundingSet=",
			"UMask=0077", "MemoryMax=512M"} {
			if !slices.Contains(lines, want) {
				t.Errorf("%s lacks %s", file, want)
			}
		}
		var unset []string
		for _, line := range lines {
			if names, ok := strings.CutPrefix(line, "UnsetEnvironment="); ok {
				unset = append(unset, strings.Fields(names)...)
			}
		}
		wantKeys(t, file, command, func(name string) bool { return !slices.Contains(unset, name) })
		if analyze, err := exec.LookPath("systemd-analyze"); err == nil {
			whole, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=20",
				whole).CombinedOutput(); err != nil {
				t.Errorf("systemd-analyze security: %v\n%s", err, out)
			}
		}
	}
}

// TestIgnored: neither git nor an image takes along secrets, or dumps with people's data.
func TestIgnored(t *testing.T) {
	for _, file := range []string{".gitignore", ".dockerignore"} {
		patterns := strings.Fields(strings.ReplaceAll(readFile(t, "../../"+file), "#", "\n"))
		for _, name := range []string{".env", ".env.production", "rollcall-serve.env", "rollcall.dump", "rollcall.dump.gz",
			"dump.rdb", "appendonly.aof", "backup.sql.gz", "snapshot.zip"} {
			if !slices.ContainsFunc(patterns, func(p string) bool {
				ok, err := filepath.Match(strings.TrimPrefix(strings.TrimPrefix(p, "**/"), "/"), name)
				return ok && err == nil
			}) {
				t.Errorf("%s does not name %s", file, name)
			}
		}
	}
	if _, err := os.Stat("../../.env.example"); err != nil {
		t.Error(err)
	}
}
