package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// signInForm is what signin.html shows.
type signInForm struct {
	Next  string // where to go afterwards
	Error string
}

// signInPage shows the form, or signs in whoever comes with a valid link. The
// link is gone from the address at once, by the redirect.
func (s *Site) signInPage(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.AdminToken == "" {
		return errNoToken
	}
	form := signInForm{Next: localPath(r.FormValue("next"))}
	if link := r.FormValue("link"); link != "" {
		if _, ok := s.admin.signed(forLink, link, s.cfg.Now()); ok {
			return s.enter(w, r, form.Next)
		}
		form.Error = "That sign-in link has expired or was cut short. Ask for a new one, or sign in with the admin token."
	}
	s.page(w, http.StatusOK, "signin.html", form)
	return nil
}

// signIn takes the form: the token for a session.
func (s *Site) signIn(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.AdminToken == "" {
		return errNoToken
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return errForm
	}
	form := signInForm{Next: localPath(r.PostForm.Get("next"))}
	if s.admin.is(strings.TrimSpace(r.PostForm.Get("token"))) {
		return s.enter(w, r, form.Next)
	}
	if err := s.wrong(r); err != nil {
		return err
	}
	form.Error = "That is not the admin token. It is the value of ADMIN_TOKEN where the server was started."
	s.page(w, http.StatusUnauthorized, "signin.html", form)
	return nil
}

// enter begins a session and goes on to a local path.
func (s *Site) enter(w http.ResponseWriter, r *http.Request, next string) error {
	until := s.cfg.Now().Add(sessionLife)
	s.setSession(w, r, s.admin.sign(forSession, until), sessionLife)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// signOut ends the session, in this browser and wherever else somebody has a copy
// of its cookie.
func (s *Site) signOut(w http.ResponseWriter, r *http.Request) error {
	if session, until := s.admin.session(r, s.cfg.Now()); session != "" {
		if err := s.cfg.Store.EndSession(r.Context(), session, until); err != nil {
			return err
		}
	}
	s.setSession(w, r, "", -time.Second)
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
	return nil
}

// setSession sets the cookie; a negative life takes it away.
func (s *Site) setSession(w http.ResponseWriter, r *http.Request, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name:     sessionCookie,
		Value:    value,
		Path:     "/",
		MaxAge:   int(life / time.Second),
		Secure:   s.byHTTPS(r),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}

func (s *Site) failurePage(r *http.Request, f *failure) failurePage {
	session, _ := s.admin.session(r, s.cfg.Now())
	p := failurePage{failure: f, Next: whereFrom(r), Operator: session != ""}
	if r.PathValue("store") != "" && s.sessions != nil {
		p.Creators, p.SignIn = true, s.signInAddress(r)
	}
	return p
}

// signInAddress is the marketplace's own page, told where to send people back to.
func (s *Site) signInAddress(r *http.Request) string {
	u, err := url.Parse(s.cfg.SignInURL)
	if err != nil || s.cfg.SignInURL == "" {
		return ""
	}
	back := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if s.byHTTPS(r) {
		back.Scheme = "https"
	}
	if public, err := url.Parse(s.cfg.PublicURL); err == nil && public.Host != "" {
		back.Scheme, back.Host = public.Scheme, public.Host
	}
	q := u.Query()
	q.Set("redirect_url", back.String())
	u.RawQuery = q.Encode()
	return u.String()
}
