package mail_test

import (
	"errors"
	"strings"
	"testing"

	"rollcall/mail"
)

var values = mail.Values{Name: "Ann Li", FirstName: "Ann", Email: "ann@x.example", Store: "Ava's", Course: "Go & SQL",
	Link: "https://p.example/c/1?a=1&b=2", Unsubscribe: "https://r.example/mail/u/t"}

func TestRender(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ markdown, html, text string }{
		"names": {"Hi {first_name}, {course}", ">Hi Ann, Go &amp; SQL<", "Hi Ann, Go & SQL\n"},
		"a link": {"[Go on]({link})", `href="https://p.example/c/1?a=1&amp;b=2"`,
			"Go on: https://p.example/c/1?a=1&b=2\n"},
		"bare links":   {"<https://p.example/x>", `href="https://p.example/x"`, "https://p.example/x\n"},
		"said instead": {"Hi {first_name|friend}, {product|your order}", "Hi Ann, your order", "Hi Ann, your order\n"},
		"empty":        {"For {product}", "For your order", "For your order\n"},
		"a list":       {"- one\n- **two**\n", "<li", "- one\n- two\n"},
		"numbers":      {"3. three\n4. four\n", `<ol start="3"`, "3. three\n4. four\n"},
		"quoted":       {"> {name}\n> said", "<blockquote", "> Ann Li\n> said\n"},
		"code":         {"`{name}` is *you*", "<code>Ann Li</code>", "Ann Li is you\n"},
		"entities":     {"1 &lt; 2 \\* 3", "1 &lt; 2 * 3", "1 < 2 * 3\n"},
		"no script":    {"&lt;script&gt;", "&lt;script&gt;", "<script>\n"},
	} {
		_, html, text, err := mail.Render("x", c.markdown, values)
		if err != nil || !strings.Contains(html, c.html) || text != c.text {
			t.Errorf("%s: %q\n%q, want %q (%v)", name, html, text, c.text, err)
		}
	}
}

// Whatever a customer is called, it stays a text.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `{email}`,
		`[x](javascript:alert(1))`, "a\r\nBcc: b@x.example", "**a**", "\u2028b", `%7Blink%7D`} {
		v := values
		v.Name, v.FirstName, v.Link = evil, evil, `https://p.example/" onclick="x`
		subject, html, text, err := mail.Render("Hi {name}", "Hi {name} [go]({link})", v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(html, "<script") || strings.Contains(html, "<img") || strings.Contains(html, `onclick="`) ||
			strings.Contains(html, "<strong>") || strings.Contains(html, "ann@x.example") ||
			strings.Contains(html, `"javascript:`) {
			t.Errorf("%q: %s", evil, html)
		}
		if strings.ContainsAny(subject, "\r\n\u2028") {
			t.Errorf("%q: subject %q", evil, subject)
		}
		if !strings.Contains(text, evil) {
			t.Errorf("%q: %q", evil, text)
		}
	}
}

func TestCheckBody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Hi {first_name|you}":       "",
		"{foo}":                     "{foo} is not known",
		"[a]({foo})":                "{foo} is not known",
		"[a](/course)":              "leads nowhere",
		"[a](javascript:alert(1))":  "leads nowhere",
		"[a]({link})":               "",
		"[a](https://x.example)":    "",
		"[a](mailto:a@x.example)":   "",
		"![a](https://x.example/p)": "Pictures",
		"<b>a</b>":                  "HTML",
		"<div>\na\n</div>":          "HTML",
		" \n":                       "The text is empty",
		strings.Repeat("a", 60_000): "longer than",
	} {
		err := mail.CheckBody("Hi", text)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %q", text, err, want)
		}
		if err != nil && !errors.As(err, new(mail.Refusal)) {
			t.Errorf("%.30q: %T", text, err)
		}
	}
	for _, subject := range []string{"", "  ", "{foo}", strings.Repeat("a", 201)} {
		if mail.CheckBody(subject, "x") == nil {
			t.Errorf("subject %.10q is accepted", subject)
		}
	}
}

// Links lead over the site where clicks are counted, but for those of the mail itself.
func TestWrappedLinks(t *testing.T) {
	t.Parallel()
	const markdown = "[a](https://x.example/?a=1&b=2) [b]({link}) [c](mailto:a@x.example) " +
		"[u]({unsubscribe}) <https://y.example>"
	if got := strings.Join(mail.Links(markdown), " "); got != "https://x.example/?a=1&b=2 https://y.example" {
		t.Errorf("links %q", got)
	}
	b, err := mail.NewBody("x", markdown, func(link string) string { return "https://r.example/mail/c/" + link[8:9] })
	if err != nil {
		t.Fatal(err)
	}
	_, html, text := b.Render(values)
	for _, want := range []string{`"https://r.example/mail/c/x"`, `"mailto:a@x.example"`, `"https://r.example/mail/u/t"`} {
		if !strings.Contains(html, want) {
			t.Errorf("%s is not in %s", want, html)
		}
	}
	v := values
	v.Tracked = "https://r.example/mail/c/l"
	if _, html, _ := b.Render(v); !strings.Contains(html, `"https://r.example/mail/c/l"`) {
		t.Errorf("{link} is not wrapped: %s", html)
	}
	if strings.Contains(html, "x.example/?") || !strings.Contains(text, "https://x.example/?a=1&b=2") {
		t.Errorf("%s\n%s", html, text)
	}
}

func FuzzRender(f *testing.F) {
	for _, s := range []string{"Hi {name}", "[a]({link})", "# x\n\n- a\n  - b\n\n> c\n\n    d\n", "`{name|x}`",
		"a\\\nb", "&#0;"} {
		f.Add(s, "Ann")
	}
	f.Fuzz(func(t *testing.T, markdown, name string) {
		v := values
		v.Name, v.FirstName = name, name
		_, html, _, err := mail.Render("{name}", markdown, v)
		if err == nil && (strings.Contains(html, "<script") || strings.Contains(html, "<img")) {
			t.Errorf("%q %q: %s", markdown, name, html)
		}
	})
}
