"""Broken builds of the web interface."""

from __future__ import annotations

from tests.mutants import Edit, Mutant

_SITE = "tests.unit.web.test_site."
_ATTACKS = "tests.unit.web.test_attacks."
_WEB = "tests.unit.daemon.test_web_verbs."

MUTANTS = (
    Mutant(
        "web-origin-unchecked", "web", "pages of other sites may send our forms", "right",
        (Edit("tm/web/site.py", "                guard.check_origin(self.front, asked.method, headers)\n", ""),),
        (_SITE + "WhatIsRefused.test_a_form_of_another_site_is_refused",
         _ATTACKS + "LinksAndForms.test_what_another_site_shows_within_its_page_is_not_answered"),
    ),
    Mutant(
        "web-csrf-unchecked", "web", "a form without the word of its session is taken", "right",
        (Edit("tm/web/guard.py", "if not hmac.compare_digest(given.encode(), visitor.csrf.encode()):",
              "if not hmac.compare_digest(visitor.csrf.encode(), visitor.csrf.encode()):"),),
        (_SITE + "WhatIsRefused.test_a_form_without_its_word_is_refused",),
    ),
    Mutant(
        "web-host-unchecked", "web", "the web server answers to any name (DNS rebinding)", "right",
        (Edit("tm/web/guard.py", "if host.lower() not in front.hosts:", "if not front.hosts:"),),
        (_SITE + "WhatIsRefused.test_a_foreign_host_is_refused",),
    ),
    Mutant(
        "web-cookie-for-scripts", "web", "scripts see the cookie of a session", "right",
        (Edit("tm/web/site.py", "httpOnly=True", "httpOnly=False"),),
        (_SITE + "Links.test_its_button_begins_a_session_with_a_cookie_that_scripts_do_not_see",),
    ),
    Mutant(
        "web-cookie-for-all-sites", "web", "browsers send the cookie along with what other sites ask", "right",
        (Edit("tm/web/site.py", "sameSite=\"strict\"", "sameSite=\"lax\""),),
        (_SITE + "Links.test_its_button_begins_a_session_with_a_cookie_that_scripts_do_not_see",),
    ),
    Mutant(
        "web-token-opens-pages", "web", "a token opens pages, not only what programs may ask", "right",
        (Edit("tm/web/site.py", "if not path.startswith(PROGRAMS) or scheme.lower()", "if scheme.lower()"),),
        (_SITE + "WhoIsLetIn.test_a_token_opens_what_programs_may_ask_and_nothing_else",),
    ),
    Mutant(
        "web-two-cookies", "web", "a cookie that another server has set beside ours counts", "right",
        (Edit("tm/web/guard.py", "found[name] = value if found.get(name, value) == value else \"\"",
              "found[name] = value"),),
        (_ATTACKS + "Cookies.test_a_session_that_somebody_has_put_beside_ours_counts_no_more_than_ours",),
    ),
    Mutant(
        "web-leads-elsewhere", "web", "a link leads people from us to another site", "right",
        (Edit("tm/web/guard.py", "path.startswith(\"/\") and not path.startswith(\"//\") and", "path and"),),
        (_ATTACKS + "LinksAndForms.test_a_page_to_go_back_to_that_is_no_address_is_ours",),
    ),
    Mutant(
        "web-policy-lax", "web", "pages may be told by others where their links begin", "right",
        (Edit("tm/web/guard.py", "object-src 'none'; base-uri 'none'; ", ""),),
        (_SITE + "EveryAnswer.test_carries_what_keeps_browsers_safe",),
    ),
    Mutant(
        "web-unescaped", "web", "what people name their jobs is markup in others' pages", "right",
        (Edit("tm/web/render.py", "autoescape=True", "autoescape=False"),),
        ("tests.unit.web.test_host.PageTests.test_processes_show_text_as_text",),
    ),
    Mutant(
        "web-link-opens-twice", "web", "a link to log in opens any number of sessions", "right",
        (Edit("tm/model/sessions.py", "        if link.used_at is not None:\n            where",
              "        if link.used_at is not None and not link.user:\n            where"),),
        (_WEB + "LinkTests.test_a_link_opens_a_session_of_its_user_once",),
    ),
    Mutant(
        "web-anybody-speaks", "web", "whoever has the web server's right speaks for others without having joined",
        "right",
        (Edit("tm/daemon/web_verbs.py", "        self._desk.check_joined(peer)\n        given = decoded(Said,",
              "        given = decoded(Said,"),),
        (_WEB + "SessionTests.test_only_the_web_server_that_has_joined_speaks_for_others",),
    ),
)  # fmt: skip
