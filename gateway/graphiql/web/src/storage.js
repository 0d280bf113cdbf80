/**
 * What GraphiQL keeps, under names of our own: other projects' GraphiQL, served from the same host and port at another
 * time, would otherwise show its tabs here, in place of the examples.
 *
 * Headers hold tokens. They survive a reload, but not the browser's tab: they are kept in the session's storage, each
 * under the tab of GraphiQL that they belong to, and nowhere else.
 *
 * What the editors hold is what the tab that is open holds. GraphiQL keeps it a second time, and takes it for that of a
 * new tab after a reload if one of its parts was never edited; so it is asked of the tabs here.
 */
const TABS = 'graphiql:tabState';
const EDITORS = { 'graphiql:query': 'query', 'graphiql:variables': 'variables', 'graphiql:headers': 'headers' };
const HISTORY = ['graphiql:queries', 'graphiql:favorites'];

export function storageOf(prefix) {
  const names = () => Object.keys(localStorage).filter((name) => name.startsWith(prefix));
  const headersOfTabs = `${prefix}headersOfTabs`;
  return {
    getItem(name) {
      if (name in EDITORS) {
        const state = read(this.getItem(TABS));
        return state?.tabs?.[state.activeTabIndex]?.[EDITORS[name]] ?? null;
      }
      const value = localStorage.getItem(prefix + name);
      return name === TABS ? withHeaders(value, read(sessionStorage.getItem(headersOfTabs)) ?? {}) : value;
    },
    setItem(name, value) {
      if (name in EDITORS) {
        return; // it is kept with its tab
      }
      if (name === TABS) {
        sessionStorage.setItem(headersOfTabs, JSON.stringify(headersOf(value)));
      }
      localStorage.setItem(prefix + name, name === TABS || HISTORY.includes(name) ? withoutHeaders(value) : value);
    },
    removeItem(name) {
      if (name === TABS) {
        sessionStorage.removeItem(headersOfTabs);
      }
      localStorage.removeItem(prefix + name);
    },
    clear() {
      names().forEach((name) => localStorage.removeItem(name));
      sessionStorage.removeItem(headersOfTabs);
    },
    get length() {
      return names().length;
    },
  };
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function headersOf(tabState) {
  const tabs = read(tabState)?.tabs ?? [];
  return Object.fromEntries(tabs.filter(({ headers }) => headers).map(({ id, headers }) => [id, headers]));
}

function withHeaders(tabState, headers) {
  const state = read(tabState);
  if (!Array.isArray(state?.tabs)) {
    return tabState;
  }
  return JSON.stringify({ ...state, tabs: state.tabs.map((tab) => ({ ...tab, headers: headers[tab.id] ?? null })) });
}

function withoutHeaders(text) {
  const value = read(text);
  return value === null ? text : JSON.stringify(value, (key, member) => (key === 'headers' ? null : member));
}
