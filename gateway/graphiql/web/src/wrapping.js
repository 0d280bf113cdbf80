import { useMonaco } from '@graphiql/react';
import { useEffect } from 'react';

/** Has every editor wrap its lines: what does not fit would be out of sight on a small screen. */
export function Wrapping() {
  const monaco = useMonaco((state) => state.monaco);
  useEffect(() => {
    if (!monaco) {
      return undefined;
    }
    const wrap = (editor) => editor.updateOptions({ wordWrap: 'on', wrappingIndent: 'indent' });
    monaco.editor.getEditors().forEach(wrap);
    const hook = monaco.editor.onDidCreateEditor(wrap);
    return () => hook.dispose();
  }, [monaco]);
  return null;
}
