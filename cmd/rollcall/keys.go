package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keys are the secrets that dev generates. It stores them in the data folder, readable
// only by its owner, so that they stay valid.
type keys struct {
	Stripe     string `json:"stripe_webhook_secret"`
	Clerk      string `json:"clerk_webhook_secret"`
	Platform   string `json:"platform_webhook_secret"`
	AdminToken string `json:"admin_token"`
}

// keepKeys reads the keys kept in dir, or makes them.
func keepKeys(dir string) (k keys, err error) {
	path := filepath.Join(dir, "secrets.json")
	text, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(text, &k); err != nil {
			return k, fmt.Errorf("%s: %w; remove it, and new secrets are made", path, err)
		}
		return k, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	k = keys{signingSecret(), signingSecret(), signingSecret(), hex.EncodeToString(random(24))}
	text, err = json.MarshalIndent(k, "", "  ")
	if err == nil {
		err = os.WriteFile(path+".new", append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path) // whole or not at all, whenever this process is killed
	}
	return k, err
}

func signingSecret() string { return "whsec_" + base64.StdEncoding.EncodeToString(random(24)) }

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// fill sets what the environment leaves open.
func (k keys) fill(c *Config) {
	for to, key := range map[**string]string{
		&c.StripeSecrets: k.Stripe, &c.ClerkSecrets: k.Clerk, &c.PlatformSecrets: k.Platform, &c.AdminToken: k.AdminToken,
	} {
		if *to == nil {
			*to = &key
		}
	}
}
