package access

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"rollcall/web/core"
)

// signInForm is the data of signin.html.
type signInForm struct {
	Next      string // where to go after signing in
	Error     string
	Creators  bool   // whether creators can sign in
	SignIn    string // where they do; empty if unknown
	Operators bool   // whether operators can sign in
	Open      bool   // whether the operators' form is unfolded
	SignedOut bool   // whether a creator has just signed out
}

// signInForm is the form that leads to a local path.
func (s *Access) signInForm(r *http.Request, next string) signInForm {
	form := signInForm{Next: core.LocalPath(next), Creators: s.Sessions != nil, Operators: s.Cfg.AdminToken != "",
		SignedOut: r.URL.Query().Has(signedOut)}
	form.Open = !form.Creators || strings.HasPrefix(form.Next, "/admin") || strings.HasPrefix(form.Next, "/monitoring")
	back := form.Next
	if back == "/" { // which may be the marketplace's own
		back = "/stores"
	}
	if to, err := url.Parse(back); err == nil {
		form.SignIn = s.signInAddress(r, to)
	}
	return form
}

// signedOut is the parameter of the sign-in page that follows a creator's sign-out.
const signedOut = "signed_out"

// SignInPage shows the form, or signs in the holder of a valid link; the redirect
// removes the link from the address.
func (s *Access) SignInPage(w http.ResponseWriter, r *http.Request) error {
	form, link := s.signInForm(r, r.FormValue("next")), r.FormValue("link")
	if !form.Operators && (link != "" || !form.Creators) {
		return core.ErrNoToken
	}
	if link != "" {
		if _, ok := s.Admin.signed(ForLink, link, s.Cfg.Now()); ok {
			return s.enter(w, r, form.Next)
		}
		form.Open, form.Error = true, "This sign-in link has expired or is incomplete. Get a new one, or use the admin token."
	}
	return s.Page(w, http.StatusOK, "signin.html", form)
}

// SignIn handles the form: it exchanges the token for a session.
func (s *Access) SignIn(w http.ResponseWriter, r *http.Request) error {
	if s.Cfg.AdminToken == "" {
		return core.ErrNoToken
	}
	if err := core.Form(w, r); err != nil {
		return err
	}
	form := s.signInForm(r, r.PostForm.Get("next"))
	if s.Admin.is(strings.TrimSpace(r.PostForm.Get("token"))) {
		return s.enter(w, r, form.Next)
	}
	if err := s.wrong(r); err != nil {
		return err
	}
	form.Open, form.Error = true, "Wrong admin token. Use the server's ADMIN_TOKEN."
	return s.Page(w, http.StatusUnauthorized, "signin.html", form)
}

// enter begins a session and redirects to a local path.
func (s *Access) enter(w http.ResponseWriter, r *http.Request, next string) error {
	until := s.Cfg.Now().Add(sessionLife)
	s.setSession(w, r, s.Admin.Sign(ForSession, until), sessionLife)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// ofClerk begins the names of Clerk's sessions among those that ended.
const ofClerk = "clerk:"

// SignOut ends the session for every copy of its cookie. Clerk's own session goes on at
// the marketplace, but opens nothing here any more.
func (s *Access) SignOut(w http.ResponseWriter, r *http.Request) error {
	next := "/signin"
	for _, id := range s.Sessions.Opened(r.Context(), ClerkTokens(r)) {
		next = "/signin?" + signedOut + "=1"
		if err := s.Cfg.Store.EndSession(r.Context(), ofClerk+id, s.Cfg.Now().Add(clerkSessionLife)); err != nil {
			return err
		}
	}
	if session, until := s.Admin.session(r, s.Cfg.Now()); session != "" {
		if err := s.Cfg.Store.EndSession(r.Context(), session, until); err != nil {
			return err
		}
	}
	s.setSession(w, r, "", -time.Second)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// setSession sets the cookie; a negative life deletes it.
func (s *Access) setSession(w http.ResponseWriter, r *http.Request, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name:     SessionCookie,
		Value:    value,
		Path:     "/",
		MaxAge:   int(life / time.Second),
		Secure:   s.ByHTTPS(r),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}

func (s *Access) failurePage(r *http.Request, f *core.Failure) core.FailurePage {
	session, _ := s.Admin.session(r, s.Cfg.Now())
	p := core.FailurePage{Failure: f, Next: core.WhereFrom(r), Operator: session != ""}
	if (r.PathValue("store") != "" || r.URL.Path == "/stores") && s.Sessions != nil {
		p.Creators, p.SignIn = true, s.signInAddress(r, r.URL)
	}
	return p
}

// signInAddress is the marketplace's sign-in page, with the page of this site to return to.
func (s *Access) signInAddress(r *http.Request, to *url.URL) string {
	u, err := url.Parse(s.Cfg.SignInURL)
	if err != nil || s.Cfg.SignInURL == "" {
		return ""
	}
	back := url.URL{Scheme: "http", Host: r.Host, Path: to.Path, RawPath: to.RawPath, RawQuery: to.RawQuery}
	if s.ByHTTPS(r) {
		back.Scheme = "https"
	}
	if public, err := url.Parse(s.Cfg.PublicURL); err == nil && public.Host != "" {
		back.Scheme, back.Host = public.Scheme, public.Host
	}
	q := u.Query()
	q.Set("redirect_url", back.String())
	u.RawQuery = q.Encode()
	return u.String()
}
