// All that needs a browser, in one of it.
import './page.mjs';
import './tabs.mjs';
