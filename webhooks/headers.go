package webhooks

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// maxHeaders is how much of a request's headers is kept, in bytes of JSON.
const maxHeaders = 4 << 10

// What the names and the values of headers have in them that open something, or
// prove who somebody is. It is better to keep one too few.
var (
	secretNames  = []string{"auth", "sign", "cookie", "token", "secret", "key", "passw", "credential", "session", "jwt", "assertion", "csrf", "xsrf", "cert", "otp"}
	secretValues = []string{"earer ", "asic ", "whsec_", "sk_", "rk_", "eyJ", "v1=", "v1,", "-----B"}
)

// keptHeaders are a request's headers as the inbox keeps them, for people who
// look at how an event came: {"Name": "value"}, in the order of their names,
// without what opens something. Those that do not fit any more are left out.
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

// appendHeader adds one header, unless its value is to be left out.
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

// appendText adds text as JSON; what is no UTF-8 in it is replaced.
func appendText(kept []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil {
				panic(err) // a string
			}
			return append(kept, quoted...)
		}
	}
	return append(append(append(kept, '"'), text...), '"')
}

func hasAny(text string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

// judged remembers of names whether their values are secret: senders use the
// same few again and again.
var judged struct {
	sync.RWMutex
	names map[string]bool
}

// maxJudged bounds what is remembered.
const maxJudged = 1000

func isSecret(name string) bool {
	judged.RLock()
	secret, known := judged.names[name]
	judged.RUnlock()
	if known {
		return secret
	}
	secret = hasAny(strings.ToLower(name), secretNames)
	judged.Lock()
	defer judged.Unlock()
	if judged.names == nil || len(judged.names) >= maxJudged {
		judged.names = map[string]bool{}
	}
	judged.names[name] = secret
	return secret
}
