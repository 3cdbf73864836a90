package webhooks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestParseSecrets(t *testing.T) {
	const key = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // 24 bytes in base64
	for _, c := range []struct {
		name, source, list string
		want               int    // secrets
		err                string // part of the error
	}{
		{"unset", Stripe, "", 0, ""},
		{"one", Stripe, "whsec_12345678", 1, ""},
		{"two with spaces", Stripe, " whsec_12345678 ,\twhsec_87654321\n", 2, ""},
		{"empty element", Stripe, "whsec_12345678,", 0, "STRIPE_WEBHOOK_SECRETS: secret 2: is empty"},
		{"only a comma", Stripe, ",", 0, "STRIPE_WEBHOOK_SECRETS: secret 1: is empty"},
		{"only a space", Clerk, " ", 0, "CLERK_WEBHOOK_SECRETS: secret 1: is empty"},
		{"no prefix", Stripe, "sk_test_12345678", 0, "does not begin with whsec_"},
		{"only the prefix", Stripe, "whsec_", 0, "too short"},
		{"a placeholder", Stripe, "whsec_...", 0, "too short"},
		{"a space within", Stripe, "whsec_1234 5678", 0, "space"},
		{"svix", Clerk, "whsec_" + key, 1, ""},
		{"svix two", Platform, "whsec_" + key + ",whsec_" + key, 2, ""},
		{"svix without prefix", Clerk, key, 0, "CLERK_WEBHOOK_SECRETS: secret 1: does not begin with whsec_"},
		{"svix only the prefix", Platform, "whsec_", 0, "PLATFORM_WEBHOOK_SECRETS: secret 1: is too short"},
		{"svix 16 bytes", Clerk, "whsec_MDEyMzQ1Njc4OWFiY2RlZg==", 1, ""},
		{"svix 15 bytes", Clerk, "whsec_MDEyMzQ1Njc4OWFiY2Rl", 0, "too short"},
		{"svix no base64", Clerk, "whsec_" + key + "!", 0, "not base64"},
		{"unknown source", "paypal", "whsec_12345678", 0, `no source "paypal"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseSecrets(c.source, c.list)
			if len(got) != c.want || (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%d secrets, %v; want %d, %q", len(got), err, c.want, c.err)
			}
			if err != nil {
				noSecretIn(t, err.Error(), c.list)
			}
		})
	}
}

func noSecretIn(t *testing.T, text, list string) {
	t.Helper()
	for part := range strings.SplitSeq(list, ",") {
		if bare := strings.TrimPrefix(strings.TrimSpace(part), "whsec_"); bare != "" && strings.Contains(text, bare) {
			t.Errorf("%q has the secret %q in it", text, bare)
		}
	}
}

func TestSecretDoesNotPrintItself(t *testing.T) {
	secrets, err := ParseSecrets(Stripe, "whsec_12345678")
	if err != nil {
		t.Fatal(err)
	}
	asJSON, _ := json.Marshal(secrets)
	for _, text := range []string{fmt.Sprint(secrets), fmt.Sprintf("%v %+v %#v %s", secrets, secrets, secrets, secrets[0]),
		string(asJSON)} {
		noSecretIn(t, text, "whsec_12345678")
	}
}
