export { h, render, Fragment, createContext } from "./preact-11.2.0.js";
export { default as htm } from "./htm-3.1.1.js";
export { useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "./preact-hooks-11.2.0.js";
export { batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect } from "./preact-signals-2.11.4.js";
