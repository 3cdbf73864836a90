package webhooks

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// maxHeaders is how much of a request's headers is stored, in bytes of JSON.
const maxHeaders = 4 << 10

// Headers whose names or values match may hold credentials. They are not stored; a false match does
// no harm.
var (
	secretNames = []string{"auth", "sign", "cookie", "token", "secret", "key", "passw",
		"credential", "session", "jwt", "assertion", "csrf", "xsrf", "cert", "otp"}
	secretValues = []string{"earer ", "asic ", "whsec_", "sk_", "rk_", "eyJ", "v1=", "v1,", "-----B"}
)

// keptHeaders returns the headers that the inbox stores, so that operators can inspect a delivery:
// {"Name": "value"}, sorted by name, without credentials. Headers beyond maxHeaders are left out.
func keptHeaders(req *http.Request) []byte {
	names := make([]string, 0, 16)
	for name := range req.Header {
		if !isSecret(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	kept := append(make([]byte, 0, 512), '{')
	kept = appendHeader(kept, "Host", req.Host)
	for _, name := range names {
		kept = appendHeader(kept, name, strings.Join(req.Header[name], ", "))
	}
	return append(kept, '}')
}

// appendHeader adds one header, unless its value may be secret.
func appendHeader(kept []byte, name, value string) []byte {
	if len(kept)+len(name)+len(value) > maxHeaders || hasAny(value, secretValues) {
		return kept
	}
	with := kept
	if len(kept) > 1 {
		with = append(with, ',')
	}
	with = appendText(append(appendText(with, name), ':'), value)
	if len(with)+len(`}`) > maxHeaders {
		return kept
	}
	return with
}

// appendText adds text as JSON and replaces invalid UTF-8.
func appendText(kept []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil {
				panic(err) // cannot fail: a string
			}
			return append(kept, quoted...)
		}
	}
	return append(append(append(kept, '"'), text...), '"')
}

func hasAny(text string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

// nameCache remembers which header names are secret: senders use the same few names.
var nameCache struct {
	sync.RWMutex
	names map[string]bool
}

const maxCached = 1000

func isSecret(name string) bool {
	nameCache.RLock()
	secret, known := nameCache.names[name]
	nameCache.RUnlock()
	if known {
		return secret
	}
	secret = hasAny(strings.ToLower(name), secretNames)
	nameCache.Lock()
	defer nameCache.Unlock()
	if nameCache.names == nil || len(nameCache.names) >= maxCached {
		nameCache.names = map[string]bool{}
	}
	nameCache.names[name] = secret
	return secret
}
